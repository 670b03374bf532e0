"""Entries by key for a day: small, written once, read by the next requests of a tool loop."""

from collections.abc import Mapping, Sequence
from typing import Protocol

RETENTION = 24 * 3600.0
"""Seconds that an entry is kept."""
MAX_ENTRY = 2**20
"""Bytes; a larger entry is not kept."""


class ReasoningStore(Protocol):
    """Both methods raise Unavailable when the storage is not reachable."""

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """Keep these entries."""
        ...

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those entries of `keys` that are kept."""
        ...
