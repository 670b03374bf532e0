"""The events of background runs, and the lease that shows whether an instance still works on a run.

A run's name is the id of its response, which only the response's owner knows. Events are numbered from 0 without a gap,
so the next number equals the count. Only the lease holder adds events. If an instance dies, another instance ends the
run when a client asks for it. A step of a system clock ends no run (`lease_watch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

PAGE = 1000
"""The largest number of events in one read; a long answer has a hundred times as many."""
PAGE_BYTES = 256 * 1024
"""The bytes after which a read returns no further event: a reader holds a page, however large the log is."""
LeaseState = Literal["held", "cancelled", "lost"]
"""`held`: the worker goes on. `cancelled`: the worker must stop. `lost`: another instance has ended the run."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Stored events from the requested number on. `held` says whether more may follow."""

    events: tuple[bytes, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class EventPolicy:
    """Seconds. A run without a heartbeat for `lease`, and for `grace` after a reader has seen that, counts as dead.
    Events expire `retention` after the last one.
    """

    lease: float = 9.0
    grace: float = 6.0
    retention: float = 3600.0


class EventLog(Protocol):
    """Every method raises Unavailable when the storage is not reachable. Every call may be repeated."""

    async def begin(self, name: str) -> None:
        """Take the lease of a new run."""
        ...

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> LeaseState:
        """Add events and renew the lease. `number` is the number of the first event. With `last`, release the lease.

        An empty list of events is a heartbeat. If the lease expired while the storage was not reachable, the worker
        gets it back, unless another instance has ended the run: then the lease is lost and nothing is added.
        """
        ...

    async def read(self, name: str, number: int) -> EventPage:
        """Up to PAGE events of PAGE_BYTES, starting at `number`, and the event that exceeds these.

        A negative number counts from the end; -1 is the last event.
        """
        ...

    async def cancel(self, name: str) -> None:
        """Ask the lease holder to stop."""
        ...

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """Add the final event for a worker that has lost the lease. Returns False if the run is alive or has ended."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the events and the lease of a run. Later readers find an empty log without a lease."""
        ...
