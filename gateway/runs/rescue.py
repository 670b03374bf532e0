"""Rescue by replay: after a broken answer, the model is asked again, and the client gets only the new part.

The stream continues where it broke if the new answer repeats the part that the client has. If it differs, the run ends
with an error. Reasoning is not compared.
"""

from gateway.core.accumulator import Accumulator
from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
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
from gateway.core.upstream_error import UpstreamError, UpstreamKind

MAX_SIZE = 2**20
"""Characters; a longer answer is not replayed. Models write half of it at most, and every stream holds so much."""

Channel = str | int  # "text", "refusal", "foreign", or the index of a tool call


class Diverged(UpstreamError):
    """The second answer differs from the first, so the stream can't be completed. `cause` is the failure that broke the
    first answer.
    """

    def __init__(self, cause: UpstreamError | None = None) -> None:
        super().__init__(
            UpstreamKind.DIVERGED,
            f"The model's answer broke off{because(cause)}, and when it was asked for again it differed from what was "
            "already sent.",
            code="answer_diverged",
        )


def because(cause: UpstreamError | None) -> str:
    """The cause in brackets, for use inside a sentence; empty without a cause."""
    return f" ({cause.message.rstrip('.')})" if cause is not None else ""


def seen_answer() -> Accumulator:
    """An empty Accumulator for what the client receives. It overflows if the answer is too long for a replay."""
    return Accumulator(limit=MAX_SIZE)


def shows_content(seen: Accumulator) -> bool:
    """Whether the client has received more than reasoning, which a replay need not repeat."""
    return bool(seen.overflowed or seen.text or seen.refusal or seen.tool_calls or seen.stand_ins)


def plain_text(seen: Accumulator) -> str | None:
    """The text that the client has received; None if there is none, or if there is other content."""
    return None if seen.refusal or seen.tool_calls or seen.stand_ins else seen.text or None


class Replay:
    """A filter that passes on only the part of a repeated answer that the client has not seen.

    Raises Diverged as soon as the answer differs; its message names the `cause` of the replay.
    """

    __slots__ = ("_blocks", "_calls", "_cause", "_done", "_expected", "_has_calls", "_held", "_owners", "_repeated")

    def __init__(self, seen: Accumulator, cause: UpstreamError | None = None) -> None:
        self._cause = cause
        calls = seen.tool_calls
        shown: dict[Channel, str] = {"text": seen.text, "refusal": seen.refusal, "foreign": seen.stand_ins}
        shown |= {index: call.arguments for index, call in calls.items()}
        self._expected = {channel: text for channel, text in shown.items() if text}
        self._repeated = dict.fromkeys(self._expected, 0)  # characters
        self._calls = {index: call.name for index, call in calls.items()}
        self._has_calls = bool(calls)
        self._owners = {block.owner for block in seen.thinking}
        self._blocks: Batch = []  # reasoning that the client has not seen
        self._held: Batch = []
        self._done = False

    def feed(self, batch: Batch) -> Batch:
        """The new events. They are held until the answer has repeated all that the client has seen."""
        if self._done and not self._blocks:
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
        """Whether the new answer has not yet repeated all of the old one."""
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
                self._finish(event)
            case ThinkingDelta() | ThinkingEnd() if self._is_behind:
                self._withhold(event)
            case ForeignFound(part):
                self._compare_foreign(event, part.text)
            case ThinkingDelta() | ThinkingEnd() | CitationFound() | UsageReport() | ToolWork():
                self._held.append(event)

    def _compare_foreign(self, event: ForeignFound, text: str | None) -> None:
        """A part that a text stands for, such as an image, is either repeated or new as a whole; of the others the
        client has those of the first answer.
        """
        if not text:
            if not self._is_behind:
                self._held.append(event)
        elif new := self._new("foreign", text):
            if new != text:
                raise Diverged(self._cause)
            self._held.append(event)

    def _begin(self, event: ToolCallBegin) -> None:
        known = self._calls.pop(event.index, None)
        if known is None:
            self._pass_blocks()
            self._held.append(event)
        elif known != event.name:
            raise Diverged(self._cause)
        # else the client uses the id that it received; the new answer has other ids

    def _finish(self, event: Finish) -> None:
        if self._is_behind:
            raise Diverged(self._cause)
        if self._has_calls:
            self._pass_blocks()
        self._held.append(event)

    def _withhold(self, event: ThinkingDelta | ThinkingEnd) -> None:
        """The client has seen the reasoning of the answer that broke, and has it if the same model repeats the answer.

        Another model wants its own back, but only with calls.
        """
        if isinstance(event, ThinkingEnd) and event.block.owner is not None and event.block.owner not in self._owners:
            self._blocks.append(event)

    def _pass_blocks(self) -> None:
        self._held += self._blocks
        self._blocks = []

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
