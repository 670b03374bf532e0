"""Rescue by replay: a broken answer is asked for again, and what the client has already seen of it is withheld.

The stream goes on where it broke, provided that the new answer repeats the old one so far; where it differs, the run
ends with one error. Reasoning is not compared.
"""

from gateway.core.event import (
    Batch,
    Event,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.upstream_error import UpstreamError, UpstreamKind

_MAX_BATCHES = 128  # batches that are stored as they came before their texts are joined
_MAX_SIZE = 4 * 2**20  # characters; a longer answer is too long to be repeated

Channel = str | int  # "text", "refusal", or the index of a tool call


class Diverged(UpstreamError):
    """The second answer differs from the first. Neither can be finished: what was sent stands, and so does the failure
    that broke it off, which is `cause`.
    """

    def __init__(self, cause: UpstreamError | None = None) -> None:
        super().__init__(
            UpstreamKind.DIVERGED,
            f"The model's answer broke off{because(cause)}, and when it was asked for again it differed from what was "
            "already sent.",
            code="answer_diverged",
        )


def because(cause: UpstreamError | None) -> str:
    """The first cause, to be put into a sentence."""
    return f" ({cause.message.rstrip('.')})" if cause is not None else ""


class Seen:
    """What the client has received of an answer: batches at first, joined when they become many."""

    __slots__ = ("_batches", "_size", "calls", "repeatable", "texts")

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._size = 0
        self.texts: dict[Channel, list[str]] = {}
        self.calls: dict[int, str] = {}
        self.repeatable = True

    def __bool__(self) -> bool:
        return bool(self._batches or self.texts or self.calls or not self.repeatable)

    def add(self, batch: Batch) -> None:
        """More was sent."""
        self._batches.append(batch)
        if len(self._batches) >= _MAX_BATCHES:
            self.join()

    def join(self) -> None:
        """Bring `texts` (by channel) and `calls` (names by index) up to date."""
        pieces: list[str] = []
        for batch in self._batches:
            for event in batch:
                # Nearly all of a long answer is text, and this is paid for each piece of it.
                if event.__class__ is TextDelta:
                    pieces.append(event.text)
                    continue
                match event:
                    case RefusalDelta(text):
                        self.say("refusal", text)
                    case ToolCallDelta(index, arguments):
                        self.say(index, arguments)
                    case ToolCallBegin(index, _, name):
                        self.calls[index] = name
                    case _:
                        pass
        self._batches.clear()
        if pieces:
            self.say("text", "".join(pieces))

    def plain_text(self) -> str | None:
        """All of it, if it is text and nothing else."""
        self.join()
        return "".join(self.texts["text"]) if self.texts.keys() == {"text"} and not self.calls else None

    def say(self, channel: Channel, text: str) -> None:
        """More text of one channel."""
        self._size += len(text)
        if self._size > _MAX_SIZE:
            self.repeatable = False
            self.texts.clear()
        else:
            self.texts.setdefault(channel, []).append(text)


class Replay:
    """Passes on only the part of a repeated answer that the client has not seen.

    Raises Diverged, which names the `cause` of the replay, as soon as it is no repetition.
    """

    __slots__ = ("_calls", "_cause", "_done", "_expected", "_held", "_repeated")

    def __init__(self, seen: Seen, cause: UpstreamError | None = None) -> None:
        self._cause = cause
        seen.join()
        self._expected = {channel: "".join(pieces) for channel, pieces in seen.texts.items()}
        self._repeated = dict.fromkeys(self._expected, 0)  # characters
        self._calls = dict(seen.calls)
        self._held: Batch = []
        self._done = False

    def feed(self, batch: Batch) -> Batch:
        """What goes on of this batch; what is beyond the seen waits until all of that has come again."""
        if self._done:
            return batch
        for event in batch:
            self._compare(event)
        self._done = not self._is_behind
        if not self._done:
            return []
        held, self._held = self._held, []
        return held

    @property
    def _is_behind(self) -> bool:
        """Whether the new answer has not repeated all of the old one yet."""
        return bool(self._expected or self._calls)

    def _compare(self, event: Event) -> None:
        match event:
            case TextDelta():
                text = event.text
                if new := self._new("text", text):
                    self._held.append(event if new == text else TextDelta(new))
            case RefusalDelta(text):
                if new := self._new("refusal", text):
                    self._held.append(RefusalDelta(new))
            case ToolCallDelta(index, arguments):
                if new := self._new(index, arguments):
                    self._held.append(ToolCallDelta(index, new))
            case ToolCallBegin():
                self._begin(event)
            case Finish():
                if self._is_behind:
                    raise Diverged(self._cause)
                self._held.append(event)
            case ThinkingDelta() if self._is_behind:
                pass  # it leads to words that the client already has
            case ThinkingDelta() | UsageReport() | ToolWork():
                self._held.append(event)

    def _begin(self, event: ToolCallBegin) -> None:
        known = self._calls.pop(event.index, None)
        if known is None:
            self._held.append(event)
        elif known != event.name:
            raise Diverged(self._cause)
        # else the client keeps the id that it received: every answer has new ids

    def _new(self, channel: Channel, text: str) -> str:
        """The part of `text` that the client has not seen."""
        expected = self._expected.get(channel)
        if expected is None:
            return text
        start = self._repeated[channel]
        end = start + len(text)
        if end < len(expected):
            if not expected.startswith(text, start):
                raise Diverged(self._cause)
            self._repeated[channel] = end
            return ""
        known = len(expected) - start
        if not expected.endswith(text[:known]):
            raise Diverged(self._cause)
        del self._expected[channel]
        return text[known:]
