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
from gateway.core.jsonio import InvalidJSON, loads, loads_each
from gateway.core.usage import from_openai
from gateway.wire.framing import OversizedEvent, SseDecoder
from gateway.wire.openai_completions.error_object import error_in

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


# What comes of trusting that a provider's JSON has the shape that it should have.
_SHAPE = (AttributeError, TypeError, LookupError)


def _malformed(what: str) -> UpstreamError:
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's answer could not be read: {what}.")


def parse_reply(body: bytes) -> Batch:
    """A whole `chat.completion` as the events of a stream. Raises UpstreamError."""
    try:
        payload = loads(body)
    except InvalidJSON as error:
        raise _malformed(str(error)) from None
    if not isinstance(payload, dict):
        raise _malformed("it is no JSON object")
    if payload.get("error"):
        raise error_in(payload)
    choices = payload.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed("it has no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _malformed("its first choice has no message")
    reader = ChunkReader()
    try:
        batch = reader.delta(message, choice.get("logprobs"))
    except _SHAPE as error:
        raise _malformed("its message has another shape") from error
    reason = choice.get("finish_reason")
    batch.append(Finish(_finish(reason, reader.calling)))
    usage = payload.get("usage")
    if isinstance(usage, dict):
        batch.append(UsageReport(from_openai(usage)))
    return batch


def _finish(reason: Any, calling: bool) -> FinishReason:
    known = _FINISH.get(reason, "stop") if isinstance(reason, str) else "stop"
    # Some servers say `stop` after tool calls; the caller's loop depends on the truth.
    return "tool_calls" if calling and known == "stop" else known


class ChunkReader:
    """Reads the deltas of one answer; remembers which calls have begun and half of a cut surrogate pair."""

    __slots__ = ("_begun", "calling", "pending_half")

    def __init__(self) -> None:
        self._begun: dict[Any, int] = {}
        self.pending_half = ""
        self.calling = False

    def delta(self, delta: dict[str, Any], logprobs: Any = None) -> Batch:
        """The events of one `delta` (or of a whole `message`, which has the same fields)."""
        batch: Batch = []
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if thinking and isinstance(thinking, str):
            batch.append(ThinkingDelta(thinking))
        text = delta.get("content")
        if text:
            if isinstance(text, list):
                text = "".join(part.get("text", "") for part in text if isinstance(part, dict))
            if not isinstance(text, str):
                raise _malformed("its content is no text")
            if self.pending_half or not text.isascii():
                text = self._rejoin(text)
            if text:
                batch.append(TextDelta(text, logprobs))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            batch.append(RefusalDelta(refusal))
        calls = delta.get("tool_calls")
        if calls:
            self._tool_calls(calls, batch)
        return batch

    def _rejoin(self, text: str) -> str:
        text, self.pending_half = self.pending_half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self.pending_half = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def _tool_calls(self, calls: Any, batch: Batch) -> None:
        if not isinstance(calls, list):
            raise _malformed("its tool_calls is no list")
        for position, call in enumerate(calls):
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                raise _malformed("a tool call has no function")
            key = call.get("index", position)
            index = self._begun.get(key)
            name, call_id = function.get("name"), call.get("id")
            if index is None:
                if not isinstance(name, str) or not name:
                    raise _malformed("a tool call has no name")
                index = self._begun[key] = len(self._begun)
                self.calling = True
                # Ids pair calls with results in the next turn, so a server that gives none gets one made for it.
                batch.append(ToolCallBegin(index, call_id if isinstance(call_id, str) else f"call_{index}", name))
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                raise _malformed("a tool call's arguments are no text")
            if arguments:
                batch.append(ToolCallDelta(index, str(arguments)))


class StreamParser:
    """Reads `chat.completion.chunk` events until the finish reason and `[DONE]`."""

    __slots__ = ("_decoder", "_finished", "_reader", "_started", "done")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._reader = ChunkReader()
        self._finished = False
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
        if not self._finished:
            if self._started:
                raise UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
            raise _malformed("the stream ended without an answer")
        return batch

    def _read(self, payloads: list[bytes]) -> Batch:
        if b"[DONE]" in payloads:
            self.done = True
            payloads = payloads[: payloads.index(b"[DONE]")]
        try:
            chunks, exact = loads_each(payloads)
        except InvalidJSON as error:
            raise _malformed(str(error)) from None
        batch: Batch = []
        try:
            for chunk in chunks:
                if chunk.get("choices"):
                    self._choice(chunk["choices"][0], batch, exact=exact)
                elif chunk.get("error"):
                    raise error_in(chunk)
                if usage := chunk.get("usage"):
                    self._report(usage, batch)
        except _SHAPE as error:
            raise _malformed("a stream event has another shape") from error
        return batch

    def _choice(self, choice: Any, batch: Batch, *, exact: bool) -> None:
        self._started = True
        reader = self._reader
        delta = choice.get("delta")
        if delta:
            # The shape of nearly every chunk of a long answer; the general reader costs three times as much.
            text = delta.get("content")
            if exact and len(delta) == 1 and text.__class__ is str and not reader.pending_half:
                if text:
                    batch.append(TextDelta(text, choice.get("logprobs")))
            else:
                batch += reader.delta(delta, choice.get("logprobs"))
        reason = choice.get("finish_reason")
        if reason and not self._finished:
            self._finished = True
            batch.append(Finish(_finish(reason, reader.calling)))

    def _report(self, usage: Any, batch: Batch) -> None:
        # Some servers repeat a running count in every chunk: only the one with or after the finish counts.
        if self._finished and isinstance(usage, dict):
            batch.append(UsageReport(from_openai(usage)))
