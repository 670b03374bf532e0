"""Connections that wait for their next request. The last one given back goes first, so that spare ones grow old."""

import asyncio

from gateway.upstream.transport.connection import Connection
from gateway.upstream.transport.endpoint import Origin

_KEEP = 30.0  # seconds; many servers close after 60 or 75, and who asks at that moment loses
_MOST = 256  # of one origin


class Pool:
    """Holds nothing that is in use. `keep` is how long a connection waits for its next request, in seconds."""

    def __init__(self, keep: float = _KEEP) -> None:
        self._keep = keep
        self._closed = False
        self._idle: dict[Origin, list[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> Connection | None:
        """One that is ready, if there is any."""
        waiting = self._idle.get(origin)
        while waiting:
            connection = waiting.pop()
            if connection.usable:
                return connection
        return None

    def give(self, origin: Origin, connection: Connection) -> None:
        """Keep it for the next request, or end it."""
        waiting = self._idle.setdefault(origin, [])
        if self._closed or not connection.usable or len(waiting) >= _MOST:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        waiting.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._keep, self._sweep)

    async def close(self) -> None:
        """End all that wait here, and whatever is given back from now on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = [connection for waiting in self._idle.values() for connection in waiting]
        self._idle.clear()
        for connection in left:
            connection.abort()
        for connection in left:
            await connection.closed()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        old = loop.time() - self._keep
        for origin, waiting in list(self._idle.items()):
            for connection in waiting:
                if connection.idle_since <= old:
                    connection.abort()
            kept = [connection for connection in waiting if connection.idle_since > old and connection.usable]
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        self._timer = loop.call_later(self._keep / 2, self._sweep) if self._idle else None
