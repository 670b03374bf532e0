"""The provider's half, inward: a whole answer or a stream of chunks → events.

Both forms share the reading of one `choice`. What providers get wrong is handled where it can be told apart safely: a
missing usage, an error object inside a 200, an emoji cut in two by JSON escapes, `finish_reason` spelled in the old
way. What can't be trusted is MALFORMED, never a guess.
"""

from typing import Any

from gateway.core.errors import UpstreamError, UpstreamKind
from gateway.core.event import (
    Batch,
    Finish,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.jsonio import InvalidJSON
from gateway.core.usage import from_openai
from gateway.wire.framing import OversizedEvent, SseDecoder
from gateway.wire.openai_completions.error_object import error_in
from gateway.wire.openai_completions.shapes import ANSWER, Call, Choice, Delta

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
}


def _malformed(what: str) -> UpstreamError:
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's answer could not be read: {what}.")


def parse_reply(body: bytes) -> Batch:
    """A whole `chat.completion` as the events of a stream. Raises UpstreamError."""
    try:
        answer = ANSWER.read(body)
    except InvalidJSON as error:
        raise _malformed(str(error)) from None
    if answer.error:
        raise error_in(answer.error)
    choice = answer.choices[0] if answer.choices else None
    if choice is None or choice.message is None:
        raise _malformed("it has no message")
    reader = ChunkReader()
    batch: Batch = []
    reader.read(choice.message, choice.logprobs, batch)
    batch.append(Finish(_finish(choice.finish_reason, reader.calling)))
    if answer.usage:
        batch.append(UsageReport(from_openai(answer.usage)))
    return batch


def _finish(reason: str | None, calling: bool) -> FinishReason:
    known = _FINISH.get(reason or "stop", "stop")
    # Some servers say `stop` after tool calls; the caller's loop depends on the truth.
    return "tool_calls" if calling and known == "stop" else known


class ChunkReader:
    """Reads the deltas of one answer; remembers which calls have begun and half of a cut surrogate pair."""

    __slots__ = ("_begun", "calling", "pending_half")

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}
        self.pending_half = ""
        self.calling = False

    def read(self, delta: Delta, logprobs: Any, batch: Batch) -> None:
        """Add the events of one `delta`, or of a whole `message`, to `batch`."""
        if thinking := delta.reasoning_content or delta.reasoning:
            batch.append(ThinkingDelta(thinking))
        if text := delta.content:
            if isinstance(text, list):
                text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
            if self.pending_half or not text.isascii():
                text = self._rejoin(text)
            if text:
                batch.append(TextDelta(text, logprobs))
        if delta.refusal:
            batch.append(RefusalDelta(delta.refusal))
        if delta.tool_calls:
            self._tool_calls(delta.tool_calls, batch)

    def _rejoin(self, text: str) -> str:
        text, self.pending_half = self.pending_half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.pending_half = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def _tool_calls(self, calls: list[Call], batch: Batch) -> None:
        for position, call in enumerate(calls):
            function = call.function
            if function is None:
                raise _malformed("a tool call has no function")
            key = position if call.index is None else call.index
            index = self._begun.get(key)
            if index is None:
                if not function.name:
                    raise _malformed("a tool call has no name")
                index = self._begun[key] = len(self._begun)
                self.calling = True
                # Ids pair calls with results in the next turn, so a server that gives none gets one made for it.
                batch.append(ToolCallBegin(index, call.id or f"call_{index}", function.name))
            if function.arguments:
                batch.append(ToolCallDelta(index, function.arguments))


class StreamParser:
    """Reads `chat.completion.chunk` events until the finish reason and `[DONE]`."""

    __slots__ = ("_decoder", "_reader", "_started", "complete", "done")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._reader = ChunkReader()
        self.complete = False
        self._started = False
        self.done = False

    def feed(self, data: bytes) -> Batch:
        """The events that these bytes complete. Raises UpstreamError."""
        try:
            payloads = self._decoder.feed(data)
        except OversizedEvent as error:
            raise _malformed(str(error)) from None
        return self._read(payloads)

    def close(self) -> Batch:
        """The end of the bytes. A stream without a finish reason was cut, whatever came before."""
        batch = self._read(self._decoder.flush())
        if not self.complete:
            if self._started:
                raise UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
            raise _malformed("the stream ended without an answer")
        return batch

    def _read(self, payloads: list[bytes]) -> Batch:
        if b"[DONE]" in payloads:
            self.done = True
            payloads = payloads[: payloads.index(b"[DONE]")]
        try:
            answers, exact = ANSWER.read_each(payloads)
        except InvalidJSON as error:
            raise _malformed(str(error)) from None
        batch: Batch = []
        for answer in answers:
            if answer.choices:
                self._choice(answer.choices[0], batch, exact)
            elif answer.error:
                raise error_in(answer.error)
            # Some servers repeat a running count in every chunk: only the one with or after the finish counts.
            if answer.usage and self.complete:
                batch.append(UsageReport(from_openai(answer.usage)))
        return batch

    def _choice(self, choice: Choice, batch: Batch, exact: bool) -> None:
        self._started = True
        delta, reader = choice.delta, self._reader
        if delta is not None:
            text = delta.content
            # The shape of nearly every chunk of a long answer; only the tolerant codec lets half an emoji through.
            if exact and text.__class__ is str and not reader.pending_half and delta.tool_calls is None:
                if delta.reasoning_content or delta.reasoning or delta.refusal:
                    reader.read(delta, choice.logprobs, batch)
                elif text:
                    batch.append(TextDelta(text, choice.logprobs))
            else:
                reader.read(delta, choice.logprobs, batch)
        if choice.finish_reason and not self.complete:
            self.complete = True
            batch.append(Finish(_finish(choice.finish_reason, reader.calling)))
