"""Entries in the memory of this process. The oldest are dropped first."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from gateway.state.reasoning.store import MAX_ENTRY, RETENTION

_MAX_BYTES = 32 * 2**20
_OVERHEAD = 400  # bytes of memory that an entry takes beside its own


class MemoryReasoning:
    """See ReasoningStore. `clock` counts seconds."""

    def __init__(self, *, clock: Callable[[], float], max_bytes: int = _MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._size = 0
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See ReasoningStore."""
        until = self._clock() + RETENTION
        for key, entry in entries.items():
            if len(entry) > MAX_ENTRY:
                continue
            self._drop(key)
            self._entries[key] = until, entry
            self._size += len(entry) + _OVERHEAD
        while self._entries and (self._size > self._max_bytes or next(iter(self._entries.values()))[0] < self._clock()):
            self._drop(next(iter(self._entries)))

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See ReasoningStore."""
        now = self._clock()
        return {key: entry[1] for key in keys if (entry := self._entries.get(key)) is not None and entry[0] >= now}

    def _drop(self, key: str) -> None:
        dropped = self._entries.pop(key, None)
        if dropped is not None:
            self._size -= len(dropped[1]) + _OVERHEAD
