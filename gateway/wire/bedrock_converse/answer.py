"""Decodes a provider's whole answer, or its event stream, into events of the gateway.

A stream is `messageStart`, blocks, `messageStop` with the reason of its end, then `metadata` with the usage. Only tool
calls have a start; other blocks begin with their first piece.
"""

from typing import Any

from msgspec import Raw

from gateway.core.event import Batch, Finish, FinishReason, UsageReport
from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.message import Citation, Extras, Owner
from gateway.core.raw_text import is_string, text_of
from gateway.core.usage import Usage
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.bedrock_converse.errors import exception
from gateway.wire.bedrock_converse.shapes import ANSWER, EVENT, Block, Event, Reasoning
from gateway.wire.bedrock_converse.usage import read_usage
from gateway.wire.block_builder import BlockBuilder
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, require_output, unreadable
from gateway.wire.framing.aws_eventstream import EventStreamDecoder, StreamMessage
from gateway.wire.model import ModelSpec

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
_MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole answer of `model` as the events of a stream. Raises UpstreamError."""
    try:
        answer = ANSWER.decode_strict(body) or ANSWER.read(body)
    except InvalidJSON as error:
        raise unreadable(error, body) from None
    message = answer.output.message if answer.output else None
    if message is None or message.content is None:
        if answer.error is not None:
            raise exception(answer.error.rpartition("#")[2], {"message": answer.message})
        raise malformed("it has no content")
    blocks = _builder(model)
    batch: Batch = []
    for block in message.content:
        _add_block(blocks, block, batch)
    _end(_finish(answer.stop_reason, blocks), read_usage(answer.usage), blocks, batch)
    return batch


def _builder(model: ModelSpec) -> BlockBuilder:
    return BlockBuilder(Owner(WIRE, model.provider, model.id), "tooluse_")


def _add_block(blocks: BlockBuilder, block: Block, batch: Batch) -> None:
    if is_string(block.text):
        blocks.whole_text(block.text, [], batch)
    elif block.tool_use is not None:
        use = block.tool_use
        blocks.begin_call(use.tool_use_id, use.name, bytes(use.input), batch)
        blocks.end(batch)
    elif (reasoning := block.reasoning_content) is not None:
        if reasoning.redacted_content is not None:
            blocks.begin("redacted", batch)
            blocks.redact(reasoning.redacted_content)
        else:
            whole = reasoning.reasoning_text
            blocks.begin("thinking", batch)
            blocks.think(whole.text if whole else reasoning.text, batch)
            blocks.add_signature(whole.signature if whole else reasoning.signature)
        blocks.end(batch)
    elif (cited := block.citations_content) is not None:
        sources = [one for raw in cited.citations or () if (one := _citation(raw)) is not None]
        texts = [one.text for one in cited.content or () if is_string(one.text)]
        for index, text in enumerate(texts):
            blocks.whole_text(text, sources if index == len(texts) - 1 else [], batch)


def _citation(raw: Any) -> Citation | None:
    """The source of a citation; a document of the request has a title, but no URL."""
    if not isinstance(raw, dict):
        return None
    location = raw.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    url = web.get("url") if isinstance(web, dict) else raw.get("source")
    title = raw.get("title")
    return Citation(
        url if isinstance(url, str) else "", title if isinstance(title, str) else None, extras=Extras(WIRE, raw)
    )


def _finish(raw: str | None, blocks: BlockBuilder) -> Finish:
    """Why the answer ended. Raises MALFORMED for a broken call, for no reason, and for `tool_use` without any call."""
    if raw is None:
        raise malformed("it has no reason for its end")
    if raw in _MALFORMED:
        raise malformed(f"the model's output was broken ({raw})")
    known = _FINISH.get(raw, "stop")
    if known == "tool_calls" and not blocks.calls:
        raise malformed("it ends with tool use, but has none")
    reason: FinishReason = "tool_calls" if blocks.calls and known == "stop" else known
    return Finish(reason, None if raw == reason else raw)


def _end(finish: Finish, usage: Usage | None, blocks: BlockBuilder, batch: Batch) -> None:
    """Add why the answer ended, and the usage. Raises MALFORMED for an empty answer."""
    if blocks.empty:
        require_output(finish, 0 if usage is None else usage.completion)
    batch.append(finish)
    if usage is not None:
        batch.append(UsageReport(usage))


class StreamParser(EventParser):
    """Reads one streamed answer until its `metadata`. The end is held back until then."""

    end: End = "sure"
    """See Parser: the end has an event of its own."""

    __slots__ = ("_blocks", "_decoder", "_end", "_usage")

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = EventStreamDecoder()
        self._blocks = _builder(model)
        self._end: Finish | None = None
        self._usage: Usage | None = None

    @property
    def complete(self) -> bool:
        """Whether the reason of the end has come."""
        return self._end is not None

    @property
    def thinking(self) -> bool:
        """Whether the model is reasoning, perhaps without showing it."""
        return self._blocks.thinking

    def _feed(self, data: bytes, batch: Batch) -> None:
        for message in self._decoder.feed(data):
            self._read(message, batch)

    def _flush(self, batch: Batch) -> None:
        """A message without its end says nothing."""

    def _read(self, message: StreamMessage, batch: Batch) -> None:
        headers = message.headers
        if headers.get(":message-type") in ("exception", "error"):
            if self.complete:
                return
            name = headers.get(":exception-type") or headers.get(":error-code") or ""
            raise exception(name, _payload(message) or {"message": headers.get(":error-message")})
        try:
            event = EVENT.read(message.payload)
        except InvalidJSON as error:
            raise unreadable(error, message.payload) from None
        self._event(headers.get(":event-type"), event, batch)

    def _event(self, name: str | None, event: Event, batch: Batch) -> None:
        blocks = self._blocks
        match name:
            case "contentBlockDelta" if event.delta is not None:
                self._delta(event.delta, batch)
            case "contentBlockStart" if event.start is not None:
                self._started = True
                if (use := event.start.tool_use) is not None:
                    blocks.begin_call(use.tool_use_id, use.name, b"null", batch)
                else:
                    blocks.begin("other", batch)
            case "contentBlockStop":
                blocks.end(batch)
            case "messageStart":
                self._started = True
            case "messageStop":
                blocks.end(batch)
                self._end = _finish(event.stop_reason, blocks)
            case "metadata":
                self._usage = read_usage(event.usage) or self._usage
                if self._end is not None and not self.done:
                    self._end_answer(batch)
            case _:
                pass  # events that may be added

    def _delta(self, delta: Block, batch: Batch) -> None:
        blocks = self._blocks
        if is_string(delta.text):
            if blocks.kind != "text":
                blocks.begin("text", batch)
            blocks.text(text_of(delta.text), batch)
        elif (use := delta.tool_use) is not None:
            if blocks.kind != "call":
                raise malformed("arguments arrived without a call")
            blocks.arguments(_piece(use.input), batch)
        elif (reasoning := delta.reasoning_content) is not None:
            self._reasoning(reasoning, batch)
        elif delta.citation is not None:
            blocks.cite(_citation(delta.citation))

    def _reasoning(self, reasoning: Reasoning, batch: Batch) -> None:
        blocks = self._blocks
        kind = "redacted" if reasoning.redacted_content is not None else "thinking"
        if blocks.kind != kind:
            blocks.begin("redacted" if kind == "redacted" else "thinking", batch)
        if kind == "redacted":
            blocks.redact(reasoning.redacted_content)
        else:
            blocks.think(reasoning.text, batch)
            blocks.add_signature(reasoning.signature)

    def _end_answer(self, batch: Batch) -> None:
        """End the answer: emit the reason that was held back, and the usage."""
        self.done = True
        if self._end is not None:
            _end(self._end, self._usage, self._blocks, batch)


def _piece(raw: Raw) -> str | None:
    return text_of(raw) if is_string(raw) else None


def _payload(message: StreamMessage) -> Any:
    try:
        return loads(message.payload)
    except InvalidJSON:
        return None
