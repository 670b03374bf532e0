"""Enforces `tool_choice: required` or a pinned function: holds the answer until the demanded call begins.

A client that demands a call never gets an answer without it: the stream fails with ToolChoiceUnmet instead.
"""

from msgspec.structs import replace

from gateway.core.errors import ToolChoiceUnmet
from gateway.core.event import Batch, Event, Finish, ForeignFound, ToolCallBegin, UsageReport
from gateway.core.turn import ToolChoice
from gateway.core.usage import NO_USAGE


def demands_call(choice: ToolChoice | None) -> bool:
    """Whether this `tool_choice` demands a tool call that the client gets. The provider runs hosted tools itself."""
    return choice is not None and choice.mode in ("required", "pinned") and choice.kind != "hosted"


class ToolChoiceGuard:
    """A filter that holds an answer until the demanded call begins."""

    __slots__ = ("_choice", "_held", "_met")

    def __init__(self, choice: ToolChoice) -> None:
        self._choice = choice
        self._held: Batch = []
        self._met = False

    def feed(self, batch: Batch) -> Batch:
        """See EventFilter. Raises ToolChoiceUnmet when the answer ends without the call."""
        if self._met:
            return batch
        name = self._choice.name
        self._held += batch
        if any(_meets(event, name) for event in batch):
            self._met = True
            held, self._held = self._held, []
            return held
        if any(isinstance(event, Finish) for event in batch):
            usage = next((event.usage for event in batch if isinstance(event, UsageReport)), None)
            raise ToolChoiceUnmet(_sentence(self._choice), param="tool_choice", usage=usage)
        return []


def _meets(event: Event, name: str | None) -> bool:
    """Whether it is the demanded call; without a name, also that of a hosted tool."""
    if isinstance(event, ForeignFound):
        return name is None
    return isinstance(event, ToolCallBegin) and name in (None, event.name)


class SecondTry:
    """A filter for the second answer, after one without the demanded call: it adds what the first one cost.

    An answer is asked for twice only if the model can't be made to call a tool (`WireRequest.choice_in_words`).
    """

    __slots__ = ("_spent",)

    def __init__(self, first: ToolChoiceUnmet) -> None:
        self._spent = first.usage or NO_USAGE

    def feed(self, batch: Batch) -> Batch:
        """See EventFilter."""
        return [
            replace(event, usage=self._spent + event.usage) if isinstance(event, UsageReport) else event
            for event in batch
        ]


def _sentence(choice: ToolChoice) -> str:
    if choice.mode == "pinned":
        return f"tool_choice required a {choice.name} tool call, but the agent did not produce one"
    return "tool_choice=required was not satisfied by the agent response"
