"""Entries in the memory of this process. Beyond its bytes, the client that stores most loses its oldest entries."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gateway.state.reasoning.store import MAX_ENTRY, RETENTION

_MAX_BYTES = 32 * 2**20
_OVERHEAD = 600  # bytes of memory that an entry takes beside its own


class _Entry(NamedTuple):
    until: float
    client: str
    value: bytes


class MemoryReasoning:
    """See ReasoningStore. `clock` counts seconds."""

    def __init__(self, *, clock: Callable[[], float], max_bytes: int = _MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._size = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._keys: dict[str, OrderedDict[str, None]] = {}  # of each client, oldest first
        self._sizes: dict[str, int] = {}  # bytes of each client

    async def put(self, client: str, entries: Mapping[str, bytes]) -> None:
        """See ReasoningStore."""
        now = self._clock()
        for key, value in entries.items():
            if len(value) > MAX_ENTRY:
                continue
            self._drop(key)
            self._entries[key] = _Entry(now + RETENTION, client, value)
            self._keys.setdefault(client, OrderedDict())[key] = None
            self._grow(client, len(value) + _OVERHEAD)
        while self._entries and self._entries[oldest := next(iter(self._entries))].until < now:
            self._drop(oldest)
        while self._size > self._max_bytes:
            self._drop(next(iter(self._keys[self._largest(client)])))

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See ReasoningStore."""
        now = self._clock()
        return {
            key: entry.value for key in keys if (entry := self._entries.get(key)) is not None and entry.until >= now
        }

    def _largest(self, client: str) -> str:
        """The client that stores most. One with more than half of everything is found without a search."""
        sizes = self._sizes
        if sizes.get(client, 0) * 2 > self._size:
            return client
        return max(sizes, key=sizes.__getitem__)

    def _grow(self, client: str, size: int) -> None:
        self._size += size
        self._sizes[client] = self._sizes.get(client, 0) + size

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        client = entry.client
        self._grow(client, -len(entry.value) - _OVERHEAD)
        del self._keys[client][key]
        if not self._keys[client]:
            del self._keys[client], self._sizes[client]
