"""Decodes a provider's whole answer, or its stream of events, into events of the gateway.

A stream is `message_start`, blocks, `message_delta` with the reason of its end, `message_stop`; `ping` may come at any
time, and `error` ends it. Servers that only resemble Anthropic's omit some of these: a reason is required, the rest is
not. Any other deviation fails as MALFORMED.
"""

from typing import Any

from gateway.core.event import Batch, Finish, FinishReason, RefusalDelta, TextDelta, UsageReport
from gateway.core.jsonio import InvalidJSON
from gateway.core.message import Owner
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.blocks import add_block, add_delta, begin_block
from gateway.wire.anthropic_messages.errors import classify
from gateway.wire.anthropic_messages.shapes import EVENT, MESSAGE, Delta, Event, Message
from gateway.wire.anthropic_messages.usage import UsageReader
from gateway.wire.block_builder import BlockBuilder
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, require_output, unreadable
from gateway.wire.framing.sse import SseDecoder
from gateway.wire.model import ModelSpec

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # only tools that the provider runs itself pause a turn
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # What compatible servers send in their place.
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole message of `model` as the events of a stream. Raises UpstreamError."""
    answer = MESSAGE.decode_strict(body)
    if answer is None:
        try:
            answer = MESSAGE.read(body)
        except InvalidJSON as error:
            raise unreadable(error, body) from None
    if answer.error or answer.type == "error":
        raise classify(None, {"error": answer.error})
    if answer.content is None:
        raise malformed("it has no content")
    blocks = _builder(model)
    batch: Batch = []
    for block in answer.content:
        add_block(blocks, block, batch)
    if answer.stop_reason is None:
        raise malformed("it has no reason for its end")
    usage = UsageReader()
    usage.feed(answer.usage)
    _end(answer, blocks, usage, batch)
    return batch


def _builder(model: ModelSpec) -> BlockBuilder:
    return BlockBuilder(Owner(WIRE, model.provider, model.id), "toolu_")


def _end(end: Message | Delta, blocks: BlockBuilder, usage: UsageReader, batch: Batch) -> None:
    """Add why the answer ended, and the usage. Raises MALFORMED for an empty answer, and `tool_use` without a call."""
    raw = end.stop_reason or ""
    known = _FINISH.get(raw, "stop")
    if known == "tool_calls" and not blocks.calls:
        raise malformed("it ends with tool use, but has none")
    if known == "content_filter" and (explanation := _explanation(end.stop_details)):
        batch.append(RefusalDelta(explanation))
    # Some servers end with `end_turn` after tool calls; a client's tool loop needs the right reason.
    reason: FinishReason = "tool_calls" if blocks.calls and known == "stop" else known
    finish = Finish(reason, None if raw == reason else raw, end.stop_sequence)
    counts = usage.usage
    if blocks.empty:
        require_output(finish, 0 if counts is None else counts.completion)
    batch.append(finish)
    if counts is not None:
        batch.append(UsageReport(counts))


def _explanation(details: Any) -> str | None:
    text = details.get("explanation") if isinstance(details, dict) else None
    return text if isinstance(text, str) else None


class StreamParser(EventParser):
    """Reads one streamed message until its `message_stop`. The end is held back until then: more usage may come."""

    end: End = "sure"
    """See Parser: the end has an event of its own."""

    __slots__ = ("_blocks", "_decoder", "_end", "_usage")

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = SseDecoder()
        self._blocks = _builder(model)
        self._usage = UsageReader()
        self._end: Delta | None = None

    @property
    def complete(self) -> bool:
        """Whether the reason of the end has come."""
        return self._end is not None

    @property
    def thinking(self) -> bool:
        """Whether the model is reasoning, perhaps without showing it."""
        return self._blocks.thinking

    def _feed(self, data: bytes, batch: Batch) -> None:
        named = self._decoder.feed_named(data)
        if named is None:
            self._read(self._decoder.feed(data), batch)
            return
        events = EVENT.decode_joined(named.joined, named.count)
        if events is None:
            self._read(named.payloads(), batch)
        else:
            self._events(events, batch, exact=True)

    def _flush(self, batch: Batch) -> None:
        self._read(self._decoder.flush(), batch)

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        for payload in payloads:
            if self.done or payload == b"[DONE]":
                return
            try:
                event = EVENT.read(payload)
            except InvalidJSON as error:
                if self.complete:  # the answer is complete; ignore what follows
                    return
                raise unreadable(error, payload) from None
            self._events([event], batch, exact=False)

    def _events(self, events: list[Event], batch: Batch, *, exact: bool) -> None:
        blocks = self._blocks
        for event in events:
            if event.type == "content_block_delta" and event.delta is not None:
                delta = event.delta
                # Nearly every event of a long answer adds text to an open block.
                if exact and delta.type == "text_delta" and (text := delta.text) and blocks.plain:
                    blocks.characters += len(text)
                    batch.append(TextDelta(text))
                else:
                    add_delta(blocks, delta, batch, exact=exact)
            elif self.done:
                return
            else:
                self._other(event, batch)

    def _other(self, event: Event, batch: Batch) -> None:
        blocks = self._blocks
        match event.type:
            case "content_block_start" if bytes(event.content_block) != b"null":
                self._started = True
                begin_block(blocks, event.content_block, batch)
            case "content_block_stop":
                blocks.end(batch)
            case "message_start":
                self._started = True
                if event.message is not None:
                    self._usage.feed(event.message.usage)
            case "message_delta":
                self._usage.feed(event.usage)
                if event.delta is not None and event.delta.stop_reason:
                    blocks.end(batch)
                    self._end = event.delta
            case "message_stop":
                if self._end is None:
                    raise malformed("it has no reason for its end")
                self._end_answer(batch)
            case "error":
                if not self.complete:
                    raise classify(None, {"error": event.error})
            case None if event.error and not self.complete:
                raise classify(None, {"error": event.error})
            case _:
                pass  # `ping`, and events that may be added

    def _end_answer(self, batch: Batch) -> None:
        """End the answer: emit the reason that was held back, and the usage."""
        self.done = True
        if self._end is not None:
            _end(self._end, self._blocks, self._usage, batch)
