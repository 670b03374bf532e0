"""Joins the events of one answer to the answer, complete or so far. No other code joins deltas.

Adding a batch costs one append. The events are joined when a property is read, after many small batches, and at once
after large ones.
"""

from typing import Any

from gateway.core.answer import Answer
from gateway.core.event import (
    Batch,
    CitationFound,
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
from gateway.core.message import Citation, Foreign, Message, Part, Refusal, Text, Thinking, ToolCall
from gateway.core.raw_text import RawText, text_of
from gateway.core.usage import NO_USAGE, Usage

_FIRST_PENDING, _MAX_PENDING = 8, 128  # batches
_LARGE = 2**15  # characters between two joins; then the next batch is joined at once

_REFUSAL = Refusal("")
_Content = list[RawText] | Thinking | Foreign | Refusal | int
"""A run of text, a block of reasoning, a foreign part, where the refusal began, or the index of a call."""
_RANKS: dict[type, int] = {Thinking: 0, Text: 1, Refusal: 2, ToolCall: 3}
"""The usual order of content."""


class Accumulator:
    """The events of one answer so far.

    `limit` is the maximum of characters of text, arguments and unfinished reasoning: beyond it they are dropped and
    `overflowed` is True; logprobs are dropped at once then. None means no limit.
    """

    __slots__ = (
        "_arguments",
        "_begins",
        "_citations",
        "_finish",
        "_limit",
        "_logprobs",
        "_max_pending",
        "_order",
        "_overflowed",
        "_pending",
        "_refusal",
        "_size",
        "_texts",
        "_thinking",
        "_tool_work",
        "_unfinished_thinking",
        "_usage",
    )

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._pending: list[Batch] = []
        self._max_pending = _FIRST_PENDING
        self._size = 0
        self._texts: list[RawText] = []
        self._order: list[_Content] = [self._texts]
        self._refusal: list[str] = []
        self._begins: dict[int, ToolCallBegin] = {}
        self._arguments: dict[int, list[str]] = {}
        self._thinking: list[Thinking] = []
        self._unfinished_thinking: list[str] = []
        self._citations: list[Citation] = []
        self._logprobs: list[dict[str, Any]] = []
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._tool_work: tuple[Message, ...] = ()
        self._overflowed = False

    def __bool__(self) -> bool:
        """Whether anything was added."""
        return bool(self._pending or self._size or self._begins or self._thinking or self._finish or self._overflowed)

    def add(self, batch: Batch) -> None:
        """Add the next events of the answer. The batch must not change afterwards."""
        self._pending.append(batch)
        if len(self._pending) >= self._max_pending:
            size = self._size
            self._join()
            # Batches of a provider that sends large pieces must not wait in numbers: they stay whole until joined.
            self._max_pending = min(2 * self._max_pending, _MAX_PENDING) if self._size - size < _LARGE else 1

    @property
    def overflowed(self) -> bool:
        """Whether the limit was exceeded, so that texts and arguments were dropped."""
        self._join()
        return self._overflowed

    @property
    def text(self) -> str:
        """The visible text so far."""
        self._join()
        return "".join([_joined(content) for content in self._order if type(content) is list])

    @property
    def refusal(self) -> str:
        """The refusal so far."""
        self._join()
        return "".join(self._refusal)

    @property
    def stand_ins(self) -> str:
        """The texts that stand for the foreign parts so far, such as images."""
        self._join()
        return "".join([content.text or "" for content in self._order if isinstance(content, Foreign)])

    @property
    def thinking(self) -> tuple[Thinking, ...]:
        """The blocks of reasoning; an unfinished one comes last and has no owner."""
        self._join()
        if not self._unfinished_thinking:
            return tuple(self._thinking)
        return *self._thinking, Thinking("".join(self._unfinished_thinking))

    @property
    def tool_calls(self) -> dict[int, ToolCall]:
        """The calls so far by index, with the arguments so far."""
        self._join()
        return {
            index: ToolCall(
                begin.id, begin.name, "".join(self._arguments[index]), begin.extras, begin.kind, begin.namespace
            )
            for index, begin in self._begins.items()
        }

    @property
    def usage(self) -> Usage | None:
        """The last usage report; None before the first."""
        self._join()
        return self._usage

    @property
    def logprobs(self) -> dict[str, Any] | None:
        """The logprobs of the text so far, joined; None if there are none or if there is a limit."""
        self._join()
        return _joined_logprobs(self._logprobs)

    @property
    def finished(self) -> bool:
        """Whether the answer is complete."""
        self._join()
        return self._finish is not None

    @property
    def tool_work(self) -> tuple[Message, ...]:
        """The hidden messages of the agent's own tool calls."""
        self._join()
        return self._tool_work

    def answer(self) -> Answer:
        """The complete answer. Raises AssertionError without a Finish: a stream that ends without one is a bug."""
        self._join()
        finish = self._finish
        if finish is None:
            raise AssertionError("a stream ended without Finish and without an error")
        return Answer(
            raw=self._raw(),
            finish=finish.reason,
            usage=self._usage or NO_USAGE,
            tool_calls=tuple(self.tool_calls.values()) if self._begins else (),
            thinking=self.thinking if self._thinking or self._unfinished_thinking else (),
            refusal="".join(self._refusal) or None if self._refusal else None,
            logprobs=_joined_logprobs(self._logprobs),
            tool_work=self._tool_work,
            citations=tuple(self._citations),
            raw_finish=finish.raw,
            stop_sequence=finish.stop_sequence,
            interleaved=self._interleaved() if len(self._order) > 1 or self._unfinished_thinking else (),
        )

    def _raw(self) -> RawText | None:
        """The text as it arrived if it came in one piece."""
        texts = self._texts
        if len(self._order) == 1 and len(texts) == 1:
            return texts[0]
        return self.text if any(type(content) is list and content for content in self._order) else None

    def _interleaved(self) -> tuple[Part, ...]:
        """See `Answer.interleaved`."""
        calls = self.tool_calls
        parts: list[Part] = []
        for content in self._order:
            if type(content) is list:
                if text := _joined(content):
                    parts.append(Text(text))
            elif type(content) is int:
                parts.append(calls[content])
            elif content is _REFUSAL:
                parts.append(Refusal(self.refusal))
            elif isinstance(content, Thinking | Foreign):
                parts.append(content)
        if self._unfinished_thinking:
            parts.append(self.thinking[-1])
        if any(type(part) is Foreign for part in parts):
            return tuple(parts)
        ranks = [_RANKS[type(part)] for part in parts]
        usual = ranks == sorted(ranks) and ranks.count(_RANKS[Text]) <= 1
        return () if usual else tuple(parts)

    def _append(self, item: "_Content") -> None:
        """Put content other than text after the text so far. The last entry always collects the text to come."""
        if self._texts:
            self._texts = []
        else:
            self._order.pop()
        self._order += (item, self._texts)

    def _join(self) -> None:
        if not self._pending:
            return
        batches, self._pending = self._pending, []
        for batch in batches:
            for event in batch:
                # A fast path: nearly all events of a long answer are text, and nearly all answers end the same way.
                if event.__class__ is TextDelta and event.logprobs is None:
                    raw = event.raw
                    self._texts.append(raw)
                    self._size += len(raw) if isinstance(raw, str) else memoryview(raw).nbytes
                elif isinstance(event, Finish):
                    self._finish = event
                elif isinstance(event, UsageReport):
                    self._usage = event.usage
                else:
                    self._add(event)
        if self._limit is not None and self._size > self._limit:
            self._overflowed = True
            for content in self._order:
                if type(content) is list:
                    content.clear()
            self._refusal.clear()
            self._unfinished_thinking.clear()
            self._arguments = {index: [] for index in self._arguments}

    def _add(self, event: object) -> None:
        match event:
            case TextDelta(raw, logprobs):
                self._texts.append(raw)
                self._size += len(event.text)
                if self._limit is None and isinstance(logprobs, dict):
                    self._logprobs.append(logprobs)
            case ToolCallDelta(index, arguments):
                self._size += len(arguments)
                self._arguments[index].append(arguments)
            case ToolCallBegin(index):
                self._begins[index] = event
                self._arguments[index] = []
                self._append(index)
            case ThinkingDelta(text):
                self._size += len(text)
                self._unfinished_thinking.append(text)
            case ThinkingEnd(block):
                self._unfinished_thinking.clear()
                self._thinking.append(block)
                self._append(block)
            case RefusalDelta(text):
                self._size += len(text)
                if not self._refusal:
                    self._append(_REFUSAL)
                self._refusal.append(text)
            case ForeignFound(part):
                self._append(part)
            case _:
                self._note(event)

    def _note(self, event: object) -> None:
        """Keep what is not part of the ordered content."""
        match event:
            case CitationFound(citation):
                self._citations.append(citation)
            case ToolWork(messages):
                self._tool_work = messages
            case _:
                raise AssertionError(f"not an event: {event!r}")


def _joined(texts: list[RawText]) -> str:
    """The text of a run of pieces, which it becomes one of: reading it again is cheap."""
    if not texts:
        return ""
    if len(texts) > 1 or not isinstance(texts[0], str):
        texts[:] = ["".join([text_of(raw) for raw in texts])]
    return text_of(texts[0])


def accumulated(events: Batch) -> Answer:
    """The answer of all its events."""
    accumulator = Accumulator()
    accumulator.add(events)
    return accumulator.answer()


def _joined_logprobs(pieces: list[dict[str, Any]]) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of consecutive texts: their token lists, concatenated. None without any."""
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    joined: dict[str, Any] = {}
    for piece in pieces:
        for kind, tokens in piece.items():
            if not tokens:
                joined.setdefault(kind, tokens)
            elif joined.get(kind):
                joined[kind] += tokens
            else:
                joined[kind] = [*tokens]
    return joined
