"""Small entries by key for a day. They are written once, and the next requests of a tool loop read them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

RETENTION = 24 * 3600.0
"""Seconds after which an entry expires."""
MAX_ENTRY = 2**20
"""Bytes; a larger entry is not stored."""


class ReasoningStore(Protocol):
    """Both methods raise Unavailable if the storage is not available."""

    async def put(self, client: str, entries: Mapping[str, bytes]) -> None:
        """Store these entries of one client. They must not displace those of clients that store less."""
        ...

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The stored entries of `keys`."""
        ...
