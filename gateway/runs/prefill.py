"""Rescue by prefill, for models that continue an assistant's message: the answer so far is sent along to be continued.

Only where the model's `compat` says so, because others refuse such a request or answer it as if it were a question, and
only for plain text: calls can't be continued half-way.

The last word is not sent: the model has to write it again, which proves that it continues and shows where, also when it
repeats a word or drops the blank between two. A model that does anything else is asked again without prefill.
"""

from msgspec.structs import replace

from gateway.core.accumulator import Accumulator
from gateway.core.event import Batch, Event, Finish, TextDelta, ThinkingEnd
from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.rescue import Diverged, Replay, because, plain_text

_MAX_WORD = 16  # characters that the model writes again at most, in scripts without blanks
_BEGINNING = 48  # characters by which an answer that starts over is recognised


class PrefillRejected(UpstreamError):
    """The model refused the prefill, or did not continue it."""

    def __init__(self, cause: UpstreamError | None, upstream_status: int | None = None) -> None:
        text = f"The model's answer broke off{because(cause)}, and it did not continue it when it was asked to."
        super().__init__(UpstreamKind.PREFILL_REJECTED, text, upstream_status=upstream_status)


def prefilled(turn: Turn, seen: Accumulator, cause: UpstreamError | None = None) -> tuple[Turn, "Continuation"] | None:
    """The turn that asks for the rest of what was seen, and the filter for its answer; None when that can't be asked.

    `cause` is what broke the first answer off.
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
    """Passes on what continues the answer. An answer that starts over is treated as a replay instead.

    `rest` is what the model has to write again, without leading blanks. Raises PrefillRejected, or Diverged when an
    answer that starts over differs.
    """

    __slots__ = ("_beginning", "_cause", "_continues", "_held", "_replay", "_rest", "_seen", "_text")

    def __init__(self, seen: Accumulator, rest: str, beginning: str, cause: UpstreamError | None) -> None:
        self._beginning = beginning
        self._cause = cause
        self._continues = False
        self._held: list[Event] = []
        self._replay: Replay | None = None
        self._rest = rest
        self._seen = seen
        self._text = ""

    def feed(self, batch: Batch) -> Batch:
        """See `gateway.runs.filters.contract.EventFilter`."""
        if self._replay is None:
            self._held += batch
            self._text += "".join([event.text for event in batch if isinstance(event, TextDelta)])
            ended = any(isinstance(event, Finish) for event in batch)
            if not ended and len(self._text) < len(self._beginning) and self._beginning.startswith(self._text):
                return []  # may still start over
            batch, self._held = self._decide(), []
        if self._replay is None:
            raise AssertionError("a decision leaves a replay")
        try:
            return self._replay.feed(batch)
        except Diverged:
            if self._continues:
                raise PrefillRejected(self._cause) from None
            raise

    def _decide(self) -> Batch:
        """Compare with the whole answer if this one starts over, else with the last word; the events to compare."""
        if self._text.startswith(self._beginning):
            if self._text.lstrip().startswith(self._rest):
                raise PrefillRejected(self._cause)  # it may be either: such text repeats itself
            self._replay = Replay(self._seen, self._cause)
            return self._held
        self._continues = True
        last_word = Accumulator()
        last_word.add([*(ThinkingEnd(block) for block in self._seen.thinking), TextDelta(self._rest)])
        self._replay = Replay(last_word)
        return _without_leading_blanks(self._held)


def _without_leading_blanks(events: list[Event]) -> Batch:
    stripped: Batch = []
    begun = False
    for event in events:
        if isinstance(event, TextDelta) and not begun:
            text = event.text.lstrip()
            begun = bool(text)
            if begun:
                stripped.append(TextDelta(text, event.logprobs))
        else:
            stripped.append(event)
    return stripped
