"""Decodes a provider's whole response, or the events of a streamed one, into events.

The events of known types are read; those that only repeat what others say, and unknown ones, are skipped. A response
that is neither completed nor incomplete is a failure.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.event import Batch, Finish, FinishReason, UsageReport
from gateway.core.jsonio import InvalidJSON
from gateway.core.message import Owner
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, unreadable
from gateway.wire.framing.sse import SseDecoder
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses import WIRE
from gateway.wire.openai_responses.errors import reported
from gateway.wire.openai_responses.output_reader import OutputReader
from gateway.wire.openai_responses.shapes import EVENT, RESPONSE, ProviderResponse, StreamEvent
from gateway.wire.openai_responses.usage import read_usage
from gateway.wire.openai_unnamed_error import unnamed_error

_INCOMPLETE: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole response of `model` as the events of a stream. Raises UpstreamError."""
    try:
        response = RESPONSE.read(body)
    except InvalidJSON as error:
        raise (unnamed_error(body) or unreadable(error, body)) from None
    if response.status is None and not response.error and response.output is None:
        raise unnamed_error(body) or malformed("it is no response")
    reader = OutputReader(_owner(model))
    batch: Batch = []
    _end(response, reader, batch)
    return batch


def _owner(model: ModelSpec) -> Owner:
    return Owner(WIRE, model.provider, model.id)


def _end(response: ProviderResponse, reader: OutputReader, batch: Batch) -> None:
    """Add the last events of a response. Raises UpstreamError for one that failed."""
    if response.error or response.status in ("failed", "cancelled"):
        raise reported(response.error)
    if response.status not in (None, "completed", "incomplete"):
        raise malformed(f"its status is '{response.status[:40]}'")
    reader.output(response.output or [], batch)
    batch.append(_finish(response, reader))
    if response.usage:
        batch.append(UsageReport(read_usage(response.usage)))


def _finish(response: ProviderResponse, reader: OutputReader) -> Finish:
    """Why the response ended. Raises UpstreamError for a success without any output."""
    if response.status == "incomplete":
        raw = (response.incomplete_details or {}).get("reason")
        raw = raw if isinstance(raw, str) else None
        # An unknown reason must not make a part of an answer look complete.
        reason = _INCOMPLETE.get(raw or "", "length")
        return Finish(reason, None if raw == reason else raw)
    if not reader.items:
        raise malformed("it has no output")
    return Finish("tool_calls" if reader.calls else "stop", None)


class StreamParser(EventParser):
    """Reads the events of one response until `response.completed`, `response.incomplete` or a failure."""

    end: End = "sure"
    """See Parser: the end has an event of its own."""

    __slots__ = ("_decoder", "_events")

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = SseDecoder()
        self._events = _EventReader(OutputReader(_owner(model)))

    @property
    def complete(self) -> bool:
        """Whether the last event has come; nothing follows it."""
        return self.done

    @property
    def thinking(self) -> bool:
        """Whether an item of reasoning is open."""
        return self._events.thinking

    def _feed(self, data: bytes, batch: Batch) -> None:
        self._read(self._decoder.feed(data), batch)

    def _flush(self, batch: Batch) -> None:
        self._read(self._decoder.flush(), batch)

    def _end_answer(self, batch: Batch) -> None:
        """Nothing is held back: the answer ends with its own event."""

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        events = self._events
        for payload in payloads:
            if self.done or payload == b"[DONE]":
                return
            try:
                event = EVENT.read(payload)
            except InvalidJSON as error:
                raise unreadable(error, payload) from None
            self._started = True
            handle = _HANDLERS.get(event.type)
            if handle is not None:
                handle(events, event, batch)
                self.done = events.finished
            elif not event.type.startswith("response."):
                if event.error:  # an error object in place of an event, as of a chat completions server
                    raise reported(event.error)
                if (unnamed := unnamed_error(payload)) is not None:
                    raise unnamed


class _EventReader:
    """Reads each event by its type."""

    __slots__ = ("_output", "finished", "thinking")

    def __init__(self, output: OutputReader) -> None:
        self._output = output
        self.finished = False
        self.thinking = False

    def text(self, event: StreamEvent, batch: Batch) -> None:
        if event.delta.__class__ is str and event.delta:
            self._output.text(event.output_index, event.content_index, event.delta, event.logprobs, batch)

    def added(self, event: StreamEvent, batch: Batch) -> None:
        if event.item is not None:
            self.thinking = event.item.get("type") == "reasoning"
            self._output.added(event.output_index, event.item, batch)

    def done(self, event: StreamEvent, batch: Batch) -> None:
        if event.item is not None:
            self.thinking = False
            self._output.done(event.output_index, event.item, batch)

    def refusal(self, event: StreamEvent, batch: Batch) -> None:
        self._output.refusal(event.output_index, event.content_index, _text(event.delta), batch)

    def annotation(self, event: StreamEvent, batch: Batch) -> None:
        self._output.annotation(event.output_index, event.content_index, event.annotation, batch)

    def summary(self, event: StreamEvent, batch: Batch) -> None:
        self._output.thinking(event.output_index, "summary", event.summary_index, _text(event.delta), batch)

    def reasoning(self, event: StreamEvent, batch: Batch) -> None:
        self._output.thinking(event.output_index, "raw", event.content_index, _text(event.delta), batch)

    def arguments(self, event: StreamEvent, batch: Batch) -> None:
        self._output.arguments(event.output_index, _text(event.delta), batch)

    def ended(self, event: StreamEvent, batch: Batch) -> None:
        response = event.response or ProviderResponse()
        if response.status is None:
            response.status = event.type.removeprefix("response.")
        _end(response, self._output, batch)
        self.finished = True

    def failed(self, event: StreamEvent, _batch: Batch) -> None:
        error = event.response.error if event.response is not None else event.error
        raise reported(error or {"message": event.message, "code": event.code, "param": event.param})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_HANDLERS: Mapping[str, Callable[[_EventReader, StreamEvent, Batch], None]] = {
    "response.output_text.delta": _EventReader.text,
    "response.output_item.added": _EventReader.added,
    "response.output_item.done": _EventReader.done,
    "response.output_text.annotation.added": _EventReader.annotation,
    "response.refusal.delta": _EventReader.refusal,
    "response.reasoning_summary_text.delta": _EventReader.summary,
    "response.reasoning_text.delta": _EventReader.reasoning,
    "response.function_call_arguments.delta": _EventReader.arguments,
    "response.custom_tool_call_input.delta": _EventReader.arguments,
    "response.completed": _EventReader.ended,
    "response.incomplete": _EventReader.ended,
    "response.failed": _EventReader.failed,
    "response.cancelled": _EventReader.failed,
    "error": _EventReader.failed,
}
