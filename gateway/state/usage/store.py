"""A segment of the ledger and the interface of its stores. `gateway.ledger` knows what a segment holds."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that were written together. `id` is unique; `time` is the Unix time in seconds at which it was written."""

    id: str
    time: float
    data: bytes


class UsageStore(Protocol):
    """Every method raises Unavailable (503) when the storage is not reachable."""

    async def append(self, segment: Segment) -> None:
        """Store a segment. Appending it again changes nothing, so a call whose result got lost can be repeated."""
        ...

    def read(self, since: float) -> AsyncIterator[list[bytes]]:
        """The data of all segments that were written at or after `since` (Unix time), in pages, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class UsagePolicy:
    """`retention` is how long segments are stored, in seconds. `max_bytes` limits all of them in SQLite: the oldest go
    first. A shared Redis has its own `maxmemory`.
    """

    retention: float = 90 * 86_400.0
    max_bytes: int = 2**30
