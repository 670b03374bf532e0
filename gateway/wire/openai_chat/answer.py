"""The provider's half, inward: a whole answer or a stream of chunks → events.

Both forms share the reading of one `delta`. What providers get wrong is handled where it can be told apart safely: a
missing usage, an error object inside a 200, `finish_reason` spelled in the old way. What can't be trusted is MALFORMED,
never a guess.
"""

from gateway.core.event import Batch, Finish, FinishReason, TextDelta, UsageReport
from gateway.core.jsonio import InvalidJSON
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import from_openai
from gateway.wire.framing.sse import OversizedEvent, SseDecoder
from gateway.wire.openai_chat.delta import ChunkReader, malformed
from gateway.wire.openai_chat.errors import error_in
from gateway.wire.openai_chat.shapes import ANSWER, WHOLE, Answer, Choice, WholeAnswer, WholeChoice

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
}


_LAST = b",[DONE]"


def parse_reply(body: bytes) -> Batch:
    """A whole `chat.completion` as the events of a stream. Raises UpstreamError."""
    answer: Answer | WholeAnswer | None = WHOLE.decode_strict(body)
    if answer is None:
        try:
            answer = ANSWER.read(body)
        except InvalidJSON as error:
            raise malformed(str(error)) from None
    if answer.error:
        raise error_in(answer.error)
    choice = answer.choices[0] if answer.choices else None
    if choice is None or choice.message is None:
        raise malformed("it has no message")
    reader = ChunkReader()
    batch: Batch = []
    reader.read(choice.message, choice.logprobs, batch)
    batch.append(Finish(_finish(choice, calling=reader.calls > 0)))
    if answer.usage:
        batch.append(UsageReport(from_openai(answer.usage)))
    return batch


def _finish(choice: Choice | WholeChoice, *, calling: bool) -> FinishReason:
    """Why the answer ended. Raises UpstreamError for `error`, which OpenRouter and Mistral give as a reason."""
    if choice.finish_reason == "error":
        raise error_in(choice.error)
    known = _FINISH.get(choice.finish_reason or "stop", "stop")
    # Some servers say `stop` after tool calls; the caller's loop depends on the truth.
    return "tool_calls" if calling and known == "stop" else known


class StreamParser:
    """Reads `chat.completion.chunk` events until the finish reason and `[DONE]`."""

    __slots__ = ("_decoder", "_reader", "_started", "complete", "done", "failure")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._reader = ChunkReader()
        self._started = False
        self.complete = False
        self.done = False
        self.failure: UpstreamError | None = None

    def feed(self, data: bytes) -> Batch:
        """The events that these bytes complete; see `gateway.wire.contract.Parser` for failures."""
        batch: Batch = []
        try:
            self._feed(data, batch)
        except UpstreamError as error:
            if not batch:
                raise
            self.failure = error
        return batch

    def close(self) -> Batch:
        """The end of the bytes. A stream without a finish reason was cut, whatever came before."""
        if self.failure is not None:
            raise self.failure
        batch: Batch = []
        self._read(self._decoder.flush(), batch)
        if not self.complete:
            if self._started:
                raise UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
            raise malformed("the stream ended without an answer")
        return batch

    def _feed(self, data: bytes, batch: Batch) -> None:
        events = self._decoder.feed_plain(data)
        if events is None:
            try:
                payloads = self._decoder.feed(data)
            except OversizedEvent as error:
                raise malformed(str(error)) from None
            self._read(payloads, batch)
            return
        # The burst path: one replacement and one decoding for all of them, instead of a loop.
        ended = events.joined.endswith(_LAST)
        documents = memoryview(events.joined)[: -len(_LAST)] if ended else events.joined
        answers = ANSWER.decode_joined(documents, events.count - ended)
        if answers is None:
            self._read(events.payloads(), batch)
        else:
            self.done = ended
            self._events(answers, batch, exact=True)

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        for payload in payloads:
            if payload == b"[DONE]":
                self.done = True
                return
            try:
                answer = ANSWER.read(payload)
            except InvalidJSON as error:
                raise malformed(str(error)) from None
            self._events([answer], batch, exact=False)

    def _events(self, answers: list[Answer], batch: Batch, *, exact: bool) -> None:
        # Only the tolerant codec lets half an emoji through, and only such text has to be looked at.
        exact = exact and not self._reader.pending_half
        complete = self.complete
        for answer in answers:
            choices = answer.choices
            if complete:
                pass  # the answer stands: of what follows its finish only the count of tokens is read
            elif answer.error:
                raise error_in(answer.error)
            elif choices:
                choice = choices[0]
                delta = choice.delta
                # Nothing but text is the shape of nearly every chunk of a long answer.
                if (
                    exact
                    and delta is not None
                    and (text := delta.content).__class__ is str
                    and text
                    and choice.finish_reason is None
                    and not (delta.tool_calls or delta.reasoning_content or delta.reasoning or delta.refusal)
                ):
                    self._started = True
                    batch.append(TextDelta(text, choice.logprobs))
                    continue
                self._choice(choice, batch)
                complete = self.complete
            # Some servers repeat a running count in every chunk: only the one with or after the finish counts.
            if complete and answer.usage:
                batch.append(UsageReport(from_openai(answer.usage)))

    def _choice(self, choice: Choice, batch: Batch) -> None:
        self._started = True
        if choice.delta is not None:
            self._reader.read(choice.delta, choice.logprobs, batch)
        if choice.finish_reason:
            batch.append(Finish(_finish(choice, calling=self._reader.calls > 0)))
            self.complete = True
