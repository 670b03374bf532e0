"""The events of runs in the background, and the lease that says whether somebody is still at work on one.

A name is that of a response, which only its owner can have found. Events are numbered from 0 without a gap, so the next
number is also their count. Only who holds the lease adds to them; what a dead instance left is ended by whoever looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

PAGE = 1000
"""Events that are read at once: a long answer has a hundred times as many."""
Standing = Literal["held", "cancelled", "lost"]
"""To whom a run belongs: still to its worker, who may go on; or should stop; or to others, who have ended it."""


@dataclass(frozen=True, slots=True)
class Told:
    """Events from the number asked for on; `held` says whether more may come."""

    events: tuple[bytes, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class EventPolicy:
    """Seconds: `lease` without a sign of life until a run counts as dead, `keep` of all events after the last."""

    lease: float = 15.0
    keep: float = 3600.0


class EventLog(Protocol):
    """Raises Unavailable from every method when what it keeps can't be reached. Calls may be repeated."""

    async def begin(self, name: str) -> None:
        """Take the lease of a new run."""
        ...

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> Standing:
        """Add events, the first with this number, and renew the lease; give it up with the `last`.

        No events are a sign of life. A lease that ran out while the log was away is taken up again, unless others have
        ended the run: then it is lost, and nothing is added.
        """
        ...

    async def read(self, name: str, number: int) -> Told:
        """The events from `number` on, PAGE of them at most; from the end when it is negative, as -1 for the last."""
        ...

    async def cancel(self, name: str) -> None:
        """Ask whoever holds the lease to stop."""
        ...

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """Add the last event in place of a worker who has lost the lease; False if there is no need, or no longer."""
        ...
