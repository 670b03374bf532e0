"""Splits the answer of a round: what the client gets, and the calls of the agent's own tools."""

from msgspec.structs import replace

from gateway.core.accumulator import Accumulator
from gateway.core.event import (
    Batch,
    Event,
    Finish,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.message import Citation, Message, Part, ToolCall
from gateway.core.usage import Usage

_BETWEEN_ROUNDS = "\n\n"  # the separator between the texts of two rounds


class RoundAnswer:
    """The answer of one round. `own` are the names of the client's tools, whose calls the client gets. `before` is the
    usage of the earlier rounds, and `work` their hidden messages, which are reported with the complete answer.

    An answer that calls only the agent's tools is not `complete`, and the client does not get its Finish. `has_text` is
    True once the client has received text.
    """

    def __init__(self, own: frozenset[str], before: Usage, *, has_text: bool, work: tuple[Message, ...] = ()) -> None:
        self.complete = False
        self.usage = before
        self.has_text = has_text
        self._own = own
        self._before = before
        self._separate = has_text
        self._work = work
        self._answer = Accumulator()
        self._hidden: set[int] = set()  # indexes of calls of the agent's tools
        self._shown: dict[int, int] = {}  # index at the provider → index for the client

    @property
    def text(self) -> str:
        """The text or refusal of the model in this round."""
        return self._answer.text + self._answer.refusal

    @property
    def parts(self) -> tuple[Part, ...]:
        """The answer of a round that is not `complete`, in the model's order: reasoning, text and calls."""
        return tuple(part for part in self._answer.answer().parts if type(part) is not Citation)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the agent's tools."""
        return tuple(call for index, call in self._answer.tool_calls.items() if index in self._hidden)

    def feed(self, batch: Batch) -> Batch:
        """The events of this batch that the client gets."""
        self._answer.add(batch)
        passed: Batch = []
        for event in batch:
            if (shown := self._show(event)) is not None:
                if isinstance(shown, TextDelta) and self._separate:
                    self._separate = False
                    passed.append(TextDelta(_BETWEEN_ROUNDS))
                elif isinstance(shown, Finish) and self._work:
                    passed.append(ToolWork(self._work))
                passed.append(shown)
        return passed

    def _show(self, event: Event) -> Event | None:
        match event:
            case TextDelta():
                self.has_text = True
                return event
            case ToolCallBegin(index, _, name):
                if name not in self._own:
                    self._hidden.add(index)
                    return None
                self._shown[index] = len(self._shown)
                return replace(event, index=self._shown[index])
            case ToolCallDelta(index, arguments):
                return None if index in self._hidden else ToolCallDelta(self._shown[index], arguments)
            case UsageReport(usage):
                self.usage = self._before + usage
                return UsageReport(self.usage)
            case Finish(reason):
                # Calls of a truncated answer are not run: their arguments may be truncated too.
                self.complete = not self._hidden or bool(self._shown) or reason in ("length", "content_filter")
                return event if self.complete else None
            case ThinkingDelta() | ThinkingEnd():
                return event
            case _:
                return event
