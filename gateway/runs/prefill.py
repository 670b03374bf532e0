"""Rescue by prefill: the model gets the answer so far as an assistant message and continues it.

This requires `acceptsPrefill` in the model's `compat`, because other models refuse such a request or treat the prefill
as a question. It works for plain text only: a model can't continue a tool call.

The prefill omits the last word. The model has to write it again, which proves that it continues and shows where, even
if it repeats a word or drops the space between two. If the answer does not continue, the model is asked again without
prefill.
"""

from msgspec.structs import replace

from gateway.core.accumulator import Accumulator
from gateway.core.event import Batch, Event, Finish, TextDelta, ThinkingEnd
from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.rescue import Diverged, Replay, because, plain_text

_MAX_WORD = 16  # characters; the maximum that the model writes again, for scripts without spaces
_BEGINNING = 48  # characters; an answer that begins with them starts over


class PrefillRejected(UpstreamError):
    """The model refused or did not continue the prefill."""

    def __init__(self, cause: UpstreamError | None, upstream_status: int | None = None) -> None:
        text = f"The model's answer broke off{because(cause)}, and the model did not continue it when it was asked to."
        super().__init__(UpstreamKind.PREFILL_REJECTED, text, upstream_status=upstream_status)


def prefilled(turn: Turn, seen: Accumulator, cause: UpstreamError | None = None) -> tuple[Turn, "Continuation"] | None:
    """The turn with the prefill, and the filter for its answer; None if the answer so far can't be continued.

    `cause` is the failure that broke the first answer.
    """
    text = plain_text(seen)
    words = text.rstrip() if text is not None else ""
    head = words.rsplit(None, 1)[0] if len(words.split(None, 1)) > 1 else ""
    if len(words) - len(head) > _MAX_WORD:
        head = words[:-_MAX_WORD].rstrip()
    if text is None or not head:
        return None
    asked = replace(turn, messages=(*turn.messages, Message("assistant", (Text(head),))))
    return asked, Continuation(seen, text[len(head) :].lstrip(), text[:_BEGINNING], cause)


class Continuation:
    """A filter that passes on the continuation of an answer. It treats an answer that starts over as a replay.

    `last_word` is the text that the model has to write again, without leading spaces. Raises PrefillRejected, or
    Diverged if an answer that starts over differs.
    """

    __slots__ = ("_beginning", "_cause", "_continues", "_held", "_last_word", "_replay", "_seen", "_text")

    def __init__(self, seen: Accumulator, last_word: str, beginning: str, cause: UpstreamError | None) -> None:
        self._beginning = beginning
        self._cause = cause
        self._continues = False
        self._held: list[Event] = []
        self._replay: Replay | None = None
        self._last_word = last_word
        self._seen = seen
        self._text = ""

    def feed(self, batch: Batch) -> Batch:
        """See `gateway.runs.filters.contract.EventFilter`."""
        if self._replay is None:
            self._held += batch
            self._text += "".join([event.text for event in batch if isinstance(event, TextDelta)])
            ended = any(isinstance(event, Finish) for event in batch)
            if not ended and len(self._text) < len(self._beginning) and self._beginning.startswith(self._text):
                return []  # it may still start over
            batch, self._held = self._decide(), []
        if self._replay is None:
            raise AssertionError("a decision sets the replay")
        try:
            return self._replay.feed(batch)
        except Diverged:
            if self._continues:
                raise PrefillRejected(self._cause) from None
            raise

    def _decide(self) -> Batch:
        """Set up the comparison, with the whole answer if this one starts over, else with the last word; return the
        events to compare.
        """
        if self._text.startswith(self._beginning):
            if self._text.lstrip().startswith(self._last_word):
                raise PrefillRejected(self._cause)  # repetitive text: it may start over or continue
            self._replay = Replay(self._seen, self._cause)
            return self._held
        self._continues = True
        last_word = Accumulator()
        last_word.add([*(ThinkingEnd(block) for block in self._seen.thinking), TextDelta(self._last_word)])
        self._replay = Replay(last_word)
        return _without_leading_spaces(self._held)


def _without_leading_spaces(events: list[Event]) -> Batch:
    stripped: Batch = []
    has_text = False
    for event in events:
        if isinstance(event, TextDelta) and not has_text:
            text = event.text.lstrip()
            has_text = bool(text)
            if has_text:
                stripped.append(TextDelta(text, event.logprobs))
        else:
            stripped.append(event)
    return stripped
