"""Renders events as Anthropic's stream (https://platform.claude.com/docs/en/build-with-claude/streaming).

`message_start`, then content blocks one after the other, then `message_delta` with the reason of the end and the token
counts, then `message_stop`. A failure is one `error` event in place of what is missing.
"""

from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.jsonio import InvalidJSON, dumps, dumps_each, loads
from gateway.core.message import Citation, Foreign, Thinking
from gateway.core.raw_text import RawText
from gateway.core.seal import Seal
from gateway.core.usage import NO_USAGE, Usage
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.citations import citation_object
from gateway.wire.anthropic_messages.error_body import error_body
from gateway.wire.anthropic_messages.signature import redacted_data, signature_of
from gateway.wire.anthropic_messages.stop_reason import end_fields
from gateway.wire.anthropic_messages.usage import usage_object, whole_usage

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
"""The heartbeat of a stream."""

_DELTA_TAIL = b"}}\n\n"


def _frame(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), dumps({"type": name, **fields}))


class Renderer:
    """One streamed answer: `feed` batches, then `close`, or `fail`.

    Blocks don't overlap in this format. While the arguments of a call are incomplete, what belongs to other blocks
    waits. `seal` and `prompt_tokens` are as in MessageRenderer.
    """

    __slots__ = (
        "_arguments", "_call", "_finish", "_frames", "_head", "_id", "_index", "_kind", "_model", "_prompt_tokens",
        "_refusal", "_request_id", "_seal", "_started", "_usage", "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        id: str,  # noqa: A002  the field's name
        model: str,
        *,
        seal: Seal | None,
        request_id: str,
        prompt_tokens: int = 0,
    ) -> None:
        self._id = id
        self._model = model
        self._seal = seal
        self._request_id = request_id
        self._prompt_tokens = prompt_tokens
        self._started = False
        self._frames: list[bytes] = []
        self._kind: str | None = None  # of the open block
        self._index = -1
        self._head = b""  # of a delta of the open block of text
        self._call = -1  # the index of the open call
        self._arguments: list[str] = []  # of the open call
        self._waiting: list[Event] = []
        self._refusal: list[str] = []
        self._usage: Usage | None = None
        self._finish: Finish | None = None

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch, for one write."""
        if not self._started:
            self._start()
        texts: list[RawText] = []
        for event in batch:
            if event.__class__ is TextDelta and not self._waiting and self._kind == "text":
                texts.append(event.raw)
                continue
            if texts:
                self._plain(texts)
                texts = []
            self._feed(event)
        if texts:
            self._plain(texts)
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames

    def close(self) -> bytes:
        """`message_delta` and `message_stop`."""
        finish = self._finish
        if finish is None:
            raise AssertionError("a stream ended without Finish and without an error")
        end = end_fields(finish.reason, finish.raw, finish.stop_sequence, "".join(self._refusal))
        usage = {"output_tokens": 0} if self._usage is None else usage_object(self._usage)
        return _frame("message_delta", {"delta": end, "usage": usage}) + _frame("message_stop", {})

    def fail(self, error: GatewayError) -> bytes:
        """One error event, and the end."""
        return b"event: error\ndata: %b\n\n" % dumps(error_body(error, self._request_id))

    def _start(self) -> None:
        self._started = True
        usage = {**whole_usage(NO_USAGE), "input_tokens": self._prompt_tokens}
        message: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage,
        }
        self._frames += (_frame("message_start", {"message": message}), PING)

    def _plain(self, texts: list[RawText]) -> None:
        """One frame for each of consecutive texts, which are nearly all of a long answer."""
        border = _DELTA_TAIL + self._head
        self._frames += (self._head, border.join(dumps_each(texts)), _DELTA_TAIL)

    def _feed(self, event: Event) -> None:
        if self._kind == "tool_use" and not (event.__class__ is ToolCallDelta and event.index == self._call):
            if isinstance(event, Finish):
                self._end_calls()
            elif not isinstance(event, UsageReport | ToolWork) and (self._waiting or not self._call_is_complete()):
                self._waiting.append(event)
                return
        self._show(event)
        if self._waiting and self._call_is_complete():
            self._end_block()
            self._release()

    def _call_is_complete(self) -> bool:
        """Whether no more arguments can follow for the open call."""
        try:
            loads("".join(self._arguments).encode("utf-8", "surrogatepass"))
        except InvalidJSON:
            return False
        return True

    def _end_calls(self) -> None:
        """End the open call, and those that wait for its end."""
        self._end_block()
        while self._waiting:
            self._release()
            self._end_block()

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._feed(event)

    def _show(self, event: Event) -> None:
        match event:
            case TextDelta(raw):
                self._open_text()
                self._plain([raw])
            case RefusalDelta(text):
                self._refusal.append(text)
                self._open_text()
                self._plain([text])
            case ThinkingDelta(text):
                self._open_thinking()
                self._delta({"type": "thinking_delta", "thinking": text})
            case ThinkingEnd(block):
                self._end_thinking(block)
            case ToolCallBegin():
                self._begin("tool_use", {"id": event.id, "name": event.name, "input": {}})
                self._call, self._arguments = event.index, []
            case ToolCallDelta(index, arguments):
                self._add_arguments(index, arguments)
            case CitationFound(citation):
                self._cite(citation)
            case ForeignFound(part):
                self._whole_block(part)
            case _:
                self._note(event)

    def _note(self, event: Event) -> None:
        """What is no content."""
        match event:
            case Finish():
                self._end_block()
                self._finish = event
            case UsageReport(usage):
                self._usage = usage
            case _:
                pass  # no client gets the agent's own tool calls

    def _open_text(self) -> None:
        if self._kind != "text":
            self._begin("text", {"text": "", "citations": None})
            head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
            self._head = head % self._index + b'{"type":"text_delta","text":'

    def _open_thinking(self) -> None:
        if self._kind != "thinking":
            self._begin("thinking", {"thinking": "", "signature": ""})

    def _end_thinking(self, block: Thinking) -> None:
        if self._kind != "thinking" and (data := redacted_data(block, self._seal)) is not None:
            self._begin("redacted_thinking", {"data": data})
        else:
            signature = signature_of(block, self._seal)
            if self._kind != "thinking" and not (block.text or signature):
                return
            self._open_thinking()
            if signature:
                self._delta({"type": "signature_delta", "signature": signature})
        self._end_block()

    def _cite(self, citation: Citation) -> None:
        if self._kind != "cited":
            self._open_text()
            self._kind = "cited"  # the block ends with the text that it cites: more text begins another one
        self._delta({"type": "citations_delta", "citation": citation_object(citation)})

    def _whole_block(self, part: Foreign) -> None:
        if part.wire == WIRE:
            self._begin_block(dict(part.payload))
            self._end_block()
        elif part.text:
            self._open_text()
            self._plain([part.text])

    def _add_arguments(self, index: int, arguments: str) -> None:
        if index != self._call or self._kind != "tool_use":
            return  # white space after complete arguments
        self._arguments.append(arguments)
        self._delta({"type": "input_json_delta", "partial_json": arguments})

    def _begin(self, kind: str, fields: dict[str, Any]) -> None:
        self._begin_block({"type": kind, **fields})

    def _begin_block(self, block: dict[str, Any]) -> None:
        self._end_block()
        self._kind = block["type"]
        self._index += 1
        self._frames.append(_frame("content_block_start", {"index": self._index, "content_block": block}))

    def _end_block(self) -> None:
        """End the open block, if one is open. Arguments of a call are never empty: no text is no JSON."""
        if self._kind is None:
            return
        if self._kind == "tool_use" and not "".join(self._arguments).strip():
            self._delta({"type": "input_json_delta", "partial_json": "{}"})
        self._kind = None
        self._frames.append(_frame("content_block_stop", {"index": self._index}))

    def _delta(self, delta: dict[str, Any]) -> None:
        self._frames.append(_frame("content_block_delta", {"index": self._index, "delta": delta}))
