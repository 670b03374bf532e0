"""Responses of one WebSocket that are not stored: its later turns can continue them, nobody else can read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from aiohttp import web

from gateway.state.responses.store import Hold, ResponseStore, StoredResponse, encoded

MiB = 2**20


class ConnectionMemories:
    """The memories of all WebSockets: at most `total` bytes; without room, the largest one loses its oldest response.

    One memory has at most `share` bytes.
    """

    def __init__(self, total: int = 64 * MiB, share: int = 16 * MiB) -> None:
        self._total = total
        self._share = share
        self._open: set[ConnectionMemory] = set()

    @contextmanager
    def connected(self, stored: ResponseStore) -> Iterator["ConnectionMemory"]:
        """The memory of a connection, until its end. `stored` are the stored responses."""
        memory = ConnectionMemory(stored, self)
        self._open.add(memory)
        try:
            yield memory
        finally:
            self._open.remove(memory)

    def make_room(self, grown: "ConnectionMemory") -> None:
        """Forget the oldest responses beyond the limits, of `grown` first."""
        while grown.size > self._share:
            grown.forget_oldest()
        while sum(memory.size for memory in self._open) > self._total:
            max(self._open, key=lambda memory: memory.size).forget_oldest()


class ConnectionMemory:
    """A ResponseStore: `get` also finds stored responses; `put` keeps a response in memory only."""

    def __init__(self, stored: ResponseStore, memories: ConnectionMemories) -> None:
        self._stored = stored
        self._memories = memories
        self._responses: dict[str, StoredResponse] = {}  # oldest first
        self.size = 0

    async def get(self, subject: str | None, response_id: str, hold: Hold | None = None) -> StoredResponse | None:
        """See ResponseStore."""
        own = self._responses.get(response_id)
        if own is not None and own.subject == subject:
            return own
        return await self._stored.get(subject, response_id, hold)

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """See ResponseStore. Never fails; a response that is too large is forgotten at once."""
        if new or response.id in self._responses:
            size = len((await encoded(response))["messages"]) + len(response.body)
            self.forget(response.id)
            self._responses[response.id] = replace(response, size=size)
            self.size += size
            self._memories.make_room(self)
        return True

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore."""
        own = self._responses.get(response_id)
        if own is None or own.subject != subject:
            return await self._stored.delete(subject, response_id)
        self.forget(response_id)
        return True

    def forget(self, response_id: str) -> None:
        """Forget the response. It stays stored if it was."""
        if (response := self._responses.pop(response_id, None)) is not None:
            self.size -= response.size

    def forget_oldest(self) -> None:
        """Forget the oldest response."""
        self.forget(next(iter(self._responses)))


CONNECTION_MEMORIES = web.AppKey("connection_memories", ConnectionMemories)
