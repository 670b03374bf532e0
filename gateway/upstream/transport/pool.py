"""Idle connections. The most recently used one is reused first, so that surplus connections expire."""

import asyncio

from gateway.upstream.transport.connection import ProviderConnection
from gateway.upstream.transport.endpoint import Origin

_IDLE_TIMEOUT = 30.0  # seconds; many servers close after 60 or 75, and a request at that moment would fail
_MAX_IDLE_PER_ORIGIN = 256


class Pool:
    """Holds idle connections only. `idle_timeout` is how long one may be idle, in seconds."""

    def __init__(self, idle_timeout: float = _IDLE_TIMEOUT) -> None:
        self._idle_timeout = idle_timeout
        self._closed = False
        self._idle: dict[Origin, list[ProviderConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def acquire(self, origin: Origin) -> ProviderConnection | None:
        """An idle connection, None without one."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    def release(self, origin: Origin, connection: ProviderConnection) -> None:
        """Store the connection for the next request, or abort it if it is not usable."""
        idle = self._idle.setdefault(origin, [])
        if self._closed or not connection.usable or len(idle) >= _MAX_IDLE_PER_ORIGIN:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._idle_timeout, self._sweep)

    def discard(self, origin: Origin) -> None:
        """Abort the idle connections to this origin."""
        for connection in self._idle.pop(origin, ()):
            connection.abort()

    async def close(self) -> None:
        """Abort all idle connections, and all connections that are released later."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connections = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()

    def _sweep(self) -> None:
        """Abort the connections that have been idle for too long."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_timeout
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since <= oldest:
                    connection.abort()
            usable = [connection for connection in idle if connection.idle_since > oldest and connection.usable]
            if usable:
                self._idle[origin] = usable
            else:
                del self._idle[origin]
        self._timer = loop.call_later(self._idle_timeout / 2, self._sweep) if self._idle else None
