"""What a caller sees of a round in which the agent's own tools may be called, and what becomes of the rest."""

from msgspec.structs import replace

from gateway.core.event import (
    Batch,
    Event,
    Finish,
    RefusalDelta,
    TextDelta,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.message import Message, ToolCall
from gateway.core.usage import Usage

_BETWEEN = "\n\n"  # what the caller reads between the text of two rounds


class RoundAnswer:
    """One round's. `own` are the caller's tools, whose calls are shown; `before` the tokens of the rounds before, and
    `work` what was done in them, which is told once the answer is complete.

    An answer that calls tools of the agent only is not `complete`: its end is not shown. `spoke` says whether the
    caller has read any text of the run.
    """

    def __init__(self, own: frozenset[str], before: Usage, *, spoke: bool, work: tuple[Message, ...] = ()) -> None:
        self.complete = False
        self.usage = before
        self.spoke = spoke
        self._own = own
        self._before = before
        self._between = spoke
        self._work = work
        self._texts: list[str] = []
        self._hidden: dict[int, tuple[ToolCallBegin, list[str]]] = {}  # with the pieces of arguments, by index
        self._shown: dict[int, int] = {}  # index at the provider → index for the caller

    @property
    def text(self) -> str:
        """What the model has said in this round."""
        return "".join(self._texts)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the agent's tools."""
        return tuple(
            ToolCall(begun.id, begun.name, "".join(arguments), begun.extras)
            for begun, arguments in self._hidden.values()
        )

    def feed(self, batch: Batch) -> Batch:
        """What the caller sees of this batch."""
        passed: Batch = []
        for event in batch:
            if (shown := self._show(event)) is not None:
                if isinstance(shown, TextDelta) and self._between:
                    self._between = False
                    passed.append(TextDelta(_BETWEEN))
                elif isinstance(shown, Finish) and self._work:
                    passed.append(ToolWork(self._work))
                passed.append(shown)
        return passed

    def _show(self, event: Event) -> Event | None:
        match event:
            case TextDelta():
                self._texts.append(event.text)
                self.spoke = True
                return event
            case RefusalDelta(text):
                self._texts.append(text)
                return event
            case ToolCallBegin(index, _, name):
                if name not in self._own:
                    self._hidden[index] = event, []
                    return None
                self._shown[index] = len(self._shown)
                return replace(event, index=self._shown[index])
            case ToolCallDelta(index, arguments):
                if index in self._hidden:
                    self._hidden[index][1].append(arguments)
                    return None
                return ToolCallDelta(self._shown[index], arguments)
            case UsageReport(usage):
                self.usage = self._before + usage
                return UsageReport(self.usage)
            case Finish(reason):
                # What was cut off is not run: its arguments may be, too.
                self.complete = not self._hidden or bool(self._shown) or reason in ("length", "content_filter")
                return event if self.complete else None
            case _:
                return event
