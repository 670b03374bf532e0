"""Decodes a provider's whole answer, or its stream of chunks, into events.

Both forms share the decoder of one `delta`. Known quirks of providers are accepted where they are unambiguous: a
missing usage, an error object inside a 200, legacy values of `finish_reason`, a whole `message` in a chunk. Any other
deviation fails as MALFORMED; nothing is guessed.
"""

from operator import attrgetter
from typing import Any

from gateway.core.event import Batch, Finish, FinishReason, TextDelta, UsageReport
from gateway.core.jsonio import InvalidJSON
from gateway.core.usage import Usage
from gateway.wire.contract import End
from gateway.wire.event_parser import EventParser
from gateway.wire.failures import malformed, unreadable
from gateway.wire.framing.sse import PlainEvents, SseDecoder
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.beside import completion_events, completion_fields
from gateway.wire.openai_chat.delta import DeltaReader
from gateway.wire.openai_chat.shapes import (
    COMPLETION,
    TEXT_CHUNK,
    WHOLE,
    Choice,
    Completion,
    Delta,
    WholeChoice,
    WholeCompletion,
    WholeMessage,
)
from gateway.wire.openai_chat.usage import read_usage
from gateway.wire.openai_error import error_in
from gateway.wire.openai_unnamed_error import unnamed_error

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
    "model_context_window_exceeded": "length",
    "repetition_truncation": "length",
    "tool_use": "tool_calls",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
}
"""In lower case; any other reason counts as `stop`."""

_FAILED = {
    "error": None,  # OpenRouter and Mistral, with an error object
    "insufficient_system_resource": "overloaded",  # DeepSeek: the answer was cut
    "network_error": None,  # Z.AI: the same
    "abort": None,  # vLLM and SGLang: the same
}
"""Reasons that are no end of an answer → the code of the error that they stand for."""


_DONE_ENTRY = b",[DONE]"
_BURST = 16  # events in one read; fewer are read without looking at them first
_LAST_EVENTS = 3  # a finish reason, the usage, `[DONE]`


def parse_answer(body: bytes, model: ModelSpec) -> Batch:
    """A whole `chat.completion` of `model` as the events of a stream. Raises UpstreamError."""
    answer: Completion | WholeCompletion | None = WHOLE.decode_strict(body)
    if answer is None:
        try:
            answer = COMPLETION.read(body)
        except InvalidJSON as error:
            raise (unnamed_error(body) or unreadable(error, body)) from None
    if answer.error:
        raise error_in(answer.error)
    choice = answer.choices[0] if answer.choices else None
    if choice is None or choice.message is None:
        raise unnamed_error(body) or malformed("it has no message")
    batch: Batch = []
    reader: DeltaReader | None = None
    if _has_only_text(choice):
        batch.append(TextDelta(choice.message.content, choice.logprobs))  # type: ignore[arg-type]  # a Raw string
    else:
        reader = DeltaReader(model)
        reader.read(choice.message, choice.logprobs, batch)
        reader.end_thinking(batch)
    finish = _finish(choice, calls=0 if reader is None else reader.calls)
    if reader is not None and finish.reason == "tool_calls":
        reader.end_calls(batch)
    batch += completion_events(completion_fields(answer), cited=reader is not None and reader.cited)
    usage = read_usage(answer.usage) if answer.usage else None
    if not batch:
        _require_output(finish, usage)
    batch.append(finish)
    if usage is not None:
        batch.append(UsageReport(usage))
    return batch


def _has_only_text(choice: Choice | WholeChoice) -> bool:
    """Whether the message is text and nothing else, as nearly every whole answer is. OpenAI's has empty annotations."""
    message = choice.message
    return (
        message.__class__ is WholeMessage
        and ((others := _other_fields(message)) == _NO_OTHER_FIELDS or others == _EMPTY_ANNOTATIONS)
        and len(content := memoryview(message.content)) > len('""')
        and content[0] == ord('"')
    )


_FIELDS_BESIDE_TEXT = tuple(name for name in Delta.__struct_fields__ if name != "content")
_other_fields = attrgetter(*_FIELDS_BESIDE_TEXT)
_NO_OTHER_FIELDS = (None,) * len(_FIELDS_BESIDE_TEXT)
_EMPTY_ANNOTATIONS: tuple[Any, ...] = tuple([] if name == "annotations" else None for name in _FIELDS_BESIDE_TEXT)


def _finish(choice: Choice | WholeChoice, *, calls: int) -> Finish:
    """Why the answer ended.

    Raises UpstreamError for a reason of `_FAILED`, and for `tool_calls` without any call.
    """
    raw = choice.finish_reason
    if raw in _FAILED:
        raise error_in(choice.error or {"message": f"The answer ended with {raw!r}.", "code": _FAILED[raw]})
    known = _FINISH.get((raw or "stop").lower(), "stop")
    if known == "tool_calls" and not calls:
        raise malformed("it ends with tool calls, but has none")
    # Some servers finish with `stop` after tool calls; a client's tool loop needs the right reason.
    reason: FinishReason = "tool_calls" if calls and known == "stop" else known
    return Finish(reason, None if raw == reason else raw)


def _require_output(finish: Finish, usage: Usage | None) -> None:
    """Raise MALFORMED for an empty answer, unless the provider counts tokens of it: then that is the model's choice."""
    if finish.reason == "stop" and (usage is None or not usage.completion):
        raise malformed("it is empty")


class StreamParser(EventParser):
    """Reads `chat.completion.chunk` events until the finish reason and `[DONE]`.

    The finish reason is held back until the stream ends or reports its usage: some servers repeat `stop` on every
    chunk, and an answer that goes on was not complete.
    """

    __slots__ = (
        "_beside",
        "_decoder",
        "_finish",
        "_finish_is",
        "_finish_passed",
        "_has_content",
        "_mixed",
        "_reader",
        "_usage",
    )

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self._decoder = SseDecoder()
        self._reader = DeltaReader(model)
        self._mixed = False
        self._beside: dict[str, Any] = {}  # fields about the whole answer; servers repeat them in every chunk
        self._finish: Finish | None = None
        self._finish_is: End = "sure"
        self._finish_passed = False
        self._has_content = False
        self._usage: UsageReport | None = None

    @property
    def thinking(self) -> bool:
        """Whether a block of reasoning is open."""
        return self._reader.thinking.open

    @property
    def end(self) -> End:
        """See Parser."""
        return self._finish_is

    @property
    def complete(self) -> bool:
        """Whether a finish reason has come; if more of the answer came after it, the end of the stream confirms it."""
        return self._finish is not None and (self.done or not self._finish_passed)

    def _feed(self, data: bytes, batch: Batch) -> None:
        events = self._decoder.feed_plain(data)
        if events is None:
            self._read(self._decoder.feed(data), batch)
            return
        if events.count >= _BURST and self._is_text(events, batch):
            return
        # Decode all events at once instead of one by one.
        ended = events.joined.endswith(_DONE_ENTRY)
        documents = memoryview(events.joined)[: -len(_DONE_ENTRY)] if ended else events.joined
        completions = COMPLETION.decode_joined(documents, events.count - ended)
        if completions is None:
            self._read(events.payloads(), batch)
        else:
            if self._events(completions, batch, exact=True):
                self._look_for_error(b"".join((b"[", documents, b"]")))
            if ended:
                self._end_answer(batch)

    def _flush(self, batch: Batch) -> None:
        self._read(self._decoder.flush(), batch)

    def _is_text(self, events: PlainEvents, batch: Batch) -> bool:
        """Read a burst if it is plain text but for its last events, which may end the answer."""
        if self._mixed or self._finish is not None or not self._reader.plain:
            return False
        documents, last = events.divided(_LAST_EVENTS)
        chunks = TEXT_CHUNK.decode_joined(documents, events.count - _LAST_EVENTS)
        if chunks is None:
            self._mixed = True  # the next one is likely to be mixed, too
            return False
        batch += [TextDelta(text) for chunk in chunks if (text := chunk.choices[0].delta.content)]
        self._started = self._has_content = True
        self._read(last, batch)
        return True

    def _read(self, payloads: list[bytes], batch: Batch) -> None:
        for payload in payloads:
            if payload == b"[DONE]":
                self._end_answer(batch)
                return
            try:
                completion = COMPLETION.read(payload)
            except InvalidJSON as error:
                if self.complete:  # the answer is complete; ignore what follows
                    self._end_answer(batch)
                    return
                if (failure := unnamed_error(payload)) is not None:
                    raise failure from None
                if b"\n" in payload:  # a server that ends its events with one line end, or sends several at once
                    self._read(payload.split(b"\n"), batch)
                    continue
                raise unreadable(error, payload) from None
            if self._events([completion], batch, exact=False):
                self._look_for_error(payload)

    def _end_answer(self, batch: Batch) -> None:
        """End the answer: emit the finish that was held back, and the usage."""
        finish = self._finish
        if finish is not None and not (self._has_content or self._beside):
            _require_output(finish, None if self._usage is None else self._usage.usage)
        self.done = True
        if self._finish is not None:
            if self._finish.reason == "stop" and self._reader.calls:  # they came after it
                self._finish = Finish("tool_calls", self._finish.raw or "stop")
            if self._finish.reason == "tool_calls":
                self._reader.end_calls(batch)
            batch += completion_events(self._beside, cited=self._reader.cited)
            batch.append(self._finish)
            if self._usage is not None:
                batch.append(self._usage)

    def _look_for_error(self, document: bytes) -> None:
        error = None if self.complete else unnamed_error(document)
        if error is not None:
            raise error

    def _events(self, completions: list[Completion], batch: Batch, *, exact: bool) -> bool:
        """Read the chunks. Returns whether one of them has nothing that is known."""
        is_unknown = False
        # Only the tolerant decoder lets half of a surrogate pair through; exact text needs no check.
        plain = exact and self._reader.plain and self._finish is None
        for completion in completions:
            choices = completion.choices
            if choices:
                choice = choices[0]
                delta = choice.delta
                # Nearly every chunk of a long answer holds text and nothing else.
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
                        or delta.thinking_blocks
                        or delta.function_call
                        or delta.audio
                        or delta.images
                        or choice.index
                        or completion.citations
                        or completion.search_results
                        or completion.images
                        or completion.related_questions
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
            elif not completion.usage:
                is_unknown = True
            self._beside |= completion_fields(completion)
            # Some servers repeat a running count in every chunk: only the one with or after the finish counts, or else
            # the last in a chunk of its own.
            if completion.usage and (self._finish is not None or not choices):
                self._usage = UsageReport(read_usage(completion.usage))
        if batch:
            self._started = self._has_content = True
        return is_unknown

    def _choices(self, choices: list[Choice], batch: Batch) -> None:
        """Read the choice with index 0. Requests never set `n`, so other choices are not part of this answer."""
        choice = next((choice for choice in choices if not choice.index), None)
        if choice is None:
            return
        self._started = True
        delta = choice.delta or choice.message  # some servers stream the answer as one whole message
        events_before = len(batch)
        if delta is not None:
            self._reader.read(delta, choice.logprobs, batch)
        elif choice.text is not None:
            raise malformed("it is a text completion, not a chat completion")
        with_content = len(batch) > events_before
        if with_content:
            self._finish_passed = True
        if choice.finish_reason:
            if self._finish is not None and self._finish_passed:
                self._finish_is = "doubtful"
            elif with_content:
                self._finish_is = "likely"
            self._reader.end_thinking(batch)
            self._finish = _finish(choice, calls=self._reader.calls)
            self._finish_passed = False
            if choice.usage:
                self._usage = UsageReport(read_usage(choice.usage))
