"""Rescue by replay: a broken answer is asked for again, and what the caller has already seen of it is withheld.

The new answer goes on where the old one broke, provided that it repeats the old one so far; where it says something
else, the run ends with one error. Reasoning is not compared: no caller sees it.
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

_BATCHES = 128  # batches that are kept as they came before their texts are put together
_MOST = 4 * 2**20  # characters; a longer answer is too long to be repeated

Channel = str | int  # "text", "refusal", or the index of a tool call


class Diverged(UpstreamError):
    """The second answer is another one. Neither can be finished: what was said stands, and so does the failure."""

    def __init__(self) -> None:
        super().__init__(
            UpstreamKind.TRANSPORT,
            "The model's answer broke off, and when it was asked for again it differed from what was already sent.",
            code="answer_diverged",
            retryable=False,
        )

    @property
    def failover(self) -> bool:
        """No other answer can fit what was sent any better."""
        return False


class Seen:
    """What the caller has been given of an answer: batches at first, put together when they become many.

    An answer of more than `most` characters is not kept, and so not repeatable.
    """

    __slots__ = ("_batches", "_most", "_size", "calls", "repeatable", "said")

    def __init__(self, most: int = _MOST) -> None:
        self._batches: list[Batch] = []
        self._most = most
        self._size = 0
        self.said: dict[Channel, list[str]] = {}
        self.calls: dict[int, str] = {}
        self.repeatable = True

    def __bool__(self) -> bool:
        return bool(self._batches or self.said or self.calls or not self.repeatable)

    def add(self, batch: Batch) -> None:
        """More was given."""
        self._batches.append(batch)
        if len(self._batches) >= _BATCHES:
            self.put_together()

    def put_together(self) -> None:
        """Bring `said` (texts by channel) and `calls` (names by index) up to date."""
        texts: list[str] = []
        for batch in self._batches:
            for event in batch:
                # Nearly all of a long answer is text, and this is paid for each piece of it.
                if event.__class__ is TextDelta:
                    texts.append(event.text)
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
        if texts:
            self.say("text", "".join(texts))

    def plain_text(self) -> str | None:
        """All of it, if it is text and nothing else."""
        self.put_together()
        return "".join(self.said["text"]) if self.said.keys() == {"text"} and not self.calls else None

    def say(self, channel: Channel, text: str) -> None:
        """More text of one channel."""
        self._size += len(text)
        if self._size > self._most:
            self.repeatable = False
            self.said.clear()
        else:
            self.said.setdefault(channel, []).append(text)


class Replay:
    """Lets of a repeated answer pass what is new. Raises Diverged as soon as it is no repetition."""

    __slots__ = ("_calls", "_done", "_expected", "_held", "_repeated")

    def __init__(self, seen: Seen) -> None:
        seen.put_together()
        self._expected = {channel: "".join(pieces) for channel, pieces in seen.said.items()}
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
        self._done = not self._expected and not self._calls
        if not self._done:
            return []
        held, self._held = self._held, []
        return held

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
                if self._expected or self._calls:
                    raise Diverged
                self._held.append(event)
            case ThinkingDelta() | UsageReport() | ToolWork():
                self._held.append(event)

    def _begin(self, event: ToolCallBegin) -> None:
        known = self._calls.pop(event.index, None)
        if known is None:
            self._held.append(event)
        elif known != event.name:
            raise Diverged
        # else the caller keeps the id that it was given: ids are made anew for every answer

    def _new(self, channel: Channel, text: str) -> str:
        """What of `text` the caller has not seen."""
        expected = self._expected.get(channel)
        if expected is None:
            return text
        start = self._repeated[channel]
        end = start + len(text)
        if end < len(expected):
            if not expected.startswith(text, start):
                raise Diverged
            self._repeated[channel] = end
            return ""
        known = len(expected) - start
        if not expected.endswith(text[:known]):
            raise Diverged
        del self._expected[channel]
        return text[known:]
