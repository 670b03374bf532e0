"""The provider's half, inward: a whole answer or a stream of chunks → events.

Both forms share the reading of one `delta`. Faults of providers are handled where they can be told apart safely: a
missing usage, an error object inside a 200, `finish_reason` in its retired spelling, a whole `message` in a chunk.
What can't be trusted is MALFORMED, never a guess.
"""

from gateway.core.event import Batch, Finish, FinishReason, TextDelta, UsageReport
from gateway.core.jsonio import InvalidJSON
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.framing.sse import OversizedEvent, SseDecoder
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.delta import DeltaReader, malformed
from gateway.wire.openai_chat.errors import error_in
from gateway.wire.openai_chat.shapes import COMPLETION, WHOLE, Choice, Completion, WholeChoice, WholeCompletion
from gateway.wire.openai_chat.usage import read_usage

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


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole `chat.completion` of `model` as the events of a stream. Raises UpstreamError."""
    answer: Completion | WholeCompletion | None = WHOLE.decode_strict(body)
    if answer is None:
        try:
            answer = COMPLETION.read(body)
        except InvalidJSON as error:
            raise malformed(str(error)) from None
    if answer.error:
        raise error_in(answer.error)
    choice = answer.choices[0] if answer.choices else None
    if choice is None or choice.message is None:
        raise malformed("it has no message")
    reader = DeltaReader(model)
    batch: Batch = []
    reader.read(choice.message, choice.logprobs, batch)
    if reader.thinking.open:
        reader.end_thinking(batch)
    batch.append(_finish(choice, calls=reader.calls))
    if answer.usage:
        batch.append(UsageReport(read_usage(answer.usage)))
    return batch


def _finish(choice: Choice | WholeChoice, *, calls: int) -> Finish:
    """Why the answer ended.

    Raises UpstreamError for `error`, which OpenRouter and Mistral give as a reason, and for a finish of calls without
    a call.
    """
    raw = choice.finish_reason
    if raw == "error":
        raise error_in(choice.error)
    known = _FINISH.get(raw or "stop", "stop")
    if known == "tool_calls" and not calls:
        raise malformed("it ends with tool calls, but has none")
    # Some servers finish with `stop` after tool calls; the client's loop depends on the truth.
    reason: FinishReason = "tool_calls" if calls and known == "stop" else known
    return Finish(reason, None if raw == reason else raw)


class StreamParser:
    """Reads `chat.completion.chunk` events until the finish reason and `[DONE]`.

    The finish reason is held back until the stream ends or reports its usage: some servers repeat `stop` on every
    chunk, and an answer that goes on was not complete.
    """

    __slots__ = ("_decoder", "_finish", "_finish_passed", "_reader", "_started", "_usage", "done", "failure")

    def __init__(self, model: ModelSpec) -> None:
        self._decoder = SseDecoder()
        self._reader = DeltaReader(model)
        self._started = False
        self._finish: Finish | None = None
        self._finish_passed = False
        self._usage: UsageReport | None = None
        self.done = False
        self.failure: UpstreamError | None = None

    @property
    def complete(self) -> bool:
        """Whether a finish reason has come; if more of the answer came after it, the end of the stream confirms it."""
        return self._finish is not None and (self.done or not self._finish_passed)

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
        if not self.done:
            self._read(self._decoder.flush(), batch)
        if self._finish is None or not self.complete:
            if self._started:
                raise UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
            raise malformed("the stream ended without an answer")
        if not self.done:
            self._end(batch)
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
        completions = COMPLETION.decode_joined(documents, events.count - ended)
        if completions is None:
            self._read(events.payloads(), batch)
        else:
            self._events(completions, batch, exact=True)
            if ended:
                self._end(batch)

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        for payload in payloads:
            if payload == b"[DONE]":
                self._end(batch)
                return
            try:
                completion = COMPLETION.read(payload)
            except InvalidJSON as error:
                if self.complete:  # the answer stands, whatever this is
                    self._end(batch)
                    return
                raise malformed(str(error)) from None
            self._events([completion], batch, exact=False)

    def _end(self, batch: Batch) -> None:
        """Nothing more comes: the finish that was held back is the end."""
        self.done = True
        if self._finish is not None:
            batch.append(self._finish)
            if self._usage is not None:
                batch.append(self._usage)

    def _events(self, completions: list[Completion], batch: Batch, *, exact: bool) -> None:
        # Only the tolerant codec lets half an emoji through, and only such text has to be looked at.
        plain = exact and self._reader.plain and self._finish is None
        for completion in completions:
            choices = completion.choices
            if choices:
                choice = choices[0]
                delta = choice.delta
                # Nothing but text is the shape of nearly every chunk of a long answer.
                if (
                    plain
                    and delta is not None
                    and (text := delta.content).__class__ is str
                    and text
                    and choice.finish_reason is None
                    and not (
                        delta.tool_calls
                        or delta.reasoning_content
                        or delta.reasoning
                        or delta.refusal
                        or delta.annotations
                        or delta.reasoning_details
                        or delta.function_call
                        or choice.index
                    )
                ):
                    batch.append(TextDelta(text, choice.logprobs))
                    continue
                if completion.error and not self.complete:
                    raise error_in(completion.error)
                self._choices(choices, batch)
                plain = exact and self._reader.plain and self._finish is None
            elif completion.error and not self.complete:
                raise error_in(completion.error)
            # Some servers repeat a running count in every chunk: only the one with or after the finish counts.
            if completion.usage and self._finish is not None:
                self._usage = UsageReport(read_usage(completion.usage))
        self._started = self._started or bool(batch)

    def _choices(self, choices: list[Choice], batch: Batch) -> None:
        """The first choice; `n` is never asked for, so that others are not this answer."""
        choice = next((choice for choice in choices if not choice.index), None)
        if choice is None:
            return
        self._started = True
        delta = choice.delta or choice.message  # a whole message in a stream is an answer in one piece
        said = len(batch)
        if delta is not None:
            self._reader.read(delta, choice.logprobs, batch)
        elif choice.text is not None:
            raise malformed("it is a text completion, not a chat completion")
        if len(batch) > said:
            self._finish_passed = True
        if choice.finish_reason:
            self._reader.end_thinking(batch)
            self._finish = _finish(choice, calls=self._reader.calls)
            self._finish_passed = False
