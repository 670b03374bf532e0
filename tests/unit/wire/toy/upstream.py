"""The provider-facing half: Turn → lines, and lines → events."""

import json
from typing import Any
from urllib.parse import quote

from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Audio, Citation, Image, Message, Owner, Part, Refusal, Text, Thinking, ToolCall
from gateway.core.message import ToolResult as Result
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.wire.contract import End, OwnTools, WireRequest
from gateway.wire.model import ModelSpec
from tests.unit.wire.toy import WIRE

FINISH = {"done": "stop", "full": "length", "calls": "tool_calls", "filtered": "content_filter"}
KINDS = {"busy": UpstreamKind.OVERLOADED, "forbidden": UpstreamKind.CONTENT_FILTER}


class ToyLines:
    """See UpstreamFormat."""

    name = WIRE
    key_header = None
    embeddings = None
    counting = None
    base_version = None
    own_tools: OwnTools = "none"
    stop_sequences = True
    listing = None

    def profile(self, quirks):
        return dict(quirks)

    def reads_pdfs(self, model: ModelSpec) -> bool:
        return model.id == "reader"

    def paths(self) -> tuple[str, ...]:
        return ()  # the path names the model

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        owner = Owner(WIRE, model.provider, model.id)
        sampling, options = turn.sampling, turn.options
        settings = {
            "whole": not turn.stream,
            "most": sampling.max_tokens,
            "heat": sampling.temperature,
            "stop": list(sampling.stop) or None,
            "effort": options.effort,
            "parallel": options.parallel_tool_calls,
            "form": sampling.response_format and [sampling.response_format.kind, sampling.response_format.schema],
        }
        lines: list[Any] = [["ask", {name: value for name, value in settings.items() if value is not None}]]
        lines += [["offer", tool.name, tool.description, tool.parameters] for tool in turn.tools]
        if turn.tool_choice is not None:
            lines.append(["choose", turn.tool_choice.mode, turn.tool_choice.name])
        lines += [_message(message, owner) for message in turn.messages]
        headers = {"X-Toy-Version": "1", "Content-Type": "text/x-toy"}
        return WireRequest(f"/models/{quote(model.id, safe='')}/say", written(*lines), headers)

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        parser = self.parser(model)
        batch = parser.feed(body)
        return batch + parser.close()

    def parser(self, model: ModelSpec) -> "ToyParser":
        return ToyParser(Owner(WIRE, model.provider, model.id))

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        code, text = payload[1:] if isinstance(payload, list) and payload[:1] == ["fail"] else ("", "It failed.")
        kind = KINDS.get(code, UpstreamKind.SERVER_ERROR)
        return UpstreamError(kind, text, upstream_status=status, retry_after=retry_after)


def written(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _message(message: Message, owner: Owner) -> list[Any]:
    return [message.role, *(line for part in message.parts if (line := _part(part, owner)) is not None)]


def _part(part: Part, owner: Owner) -> list[Any] | None:
    match part:
        case Text() | Refusal():
            return ["text", part.text] if part.text else None  # chat clients write `""` beside calls
        case Image(url):
            return ["image", url]
        case Audio(data, kind):
            return ["audio", kind, data]
        case Thinking(text, signature) if part.owner in (owner, None):
            return ["thought", text, signature]
        case ToolCall(id_, name, arguments):
            return ["call", id_, name, arguments]
        case Result(call_id, content):
            return ["result", call_id, *(line for one in content if (line := _part(one, owner)) is not None)]
        case _:
            return None  # thinking of another model, sources, what only another format understands


class ToyParser:
    """See `gateway.wire.contract.Parser`."""

    def __init__(self, owner: Owner) -> None:
        self.thinking = False
        self.end: End = "sure"
        self.complete = False
        self.done = False
        self.failure: UpstreamError | None = None
        self._owner = owner
        self._pending = b""
        self._thought = ""

    def feed(self, data: bytes) -> Batch:
        *lines, self._pending = (self._pending + data).split(b"\n")
        batch: Batch = []
        for line in lines:
            try:
                batch.append(self._event(*json.loads(line)))
            except UpstreamError as error:
                if not batch:
                    raise
                self.failure = error
                break
        return batch

    def close(self) -> Batch:
        if self.failure is not None:
            raise self.failure
        if not self.complete:
            raise UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
        return []

    def _event(self, kind: str, *fields: Any) -> Event:
        match kind, *fields:
            case "text", text:
                return TextDelta(text)
            case "think", text:
                self._thought += text
                return ThinkingDelta(text)
            case "thought", signature:
                thought, self._thought = self._thought, ""
                return ThinkingEnd(Thinking(thought, signature, owner=self._owner))
            case "refuse", text:
                return RefusalDelta(text)
            case "source", url, title, start, end:
                return CitationFound(Citation(url, title, start, end))
            case "call", index, id_, name:
                return ToolCallBegin(index, id_, name)
            case "more", index, arguments:
                return ToolCallDelta(index, arguments)
            case "end", word:
                self.complete = True
                return Finish(FINISH[word], word)
            case "cost", given, made, cached, reasoning:
                self.done = True
                return UsageReport(Usage(given, made, given + made, cached, reasoning))
            case "fail", code, text:
                raise UpstreamError(KINDS.get(code, UpstreamKind.SERVER_ERROR), text)
            case _:
                raise UpstreamError(UpstreamKind.MALFORMED, "The provider's answer could not be read.")
