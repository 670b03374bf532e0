"""The HTTP client for providers: POST over pooled connections; no cookies, no redirects, no hidden timeouts.

All requests to providers go through this client, so that the transport can be replaced in one file.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from dataclasses import dataclass

from gateway import __version__
from gateway.upstream.transport.connection import PIECE
from gateway.upstream.transport.dial import Dialer
from gateway.upstream.transport.endpoint import Endpoint, Origin
from gateway.upstream.transport.errors import Disconnected, StaleConnection
from gateway.upstream.transport.pool import Pool
from gateway.upstream.transport.response import Response

USER_AGENT = f"openclaw-gateway/{__version__}"
# Providers get exactly the headers of their row, those that its wire format needs, and these: nothing of the client's
# request is ever copied.
DEFAULTS = {
    "User-Agent": USER_AGENT,
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one attempt may keep the client waiting, in seconds.

    `first_event`: from sending the request to the first event of a stream. `idle`: between events. `thinking`: replaces
    both for a model that reasons silently, and `first_event` for a local model, which may have to load.
    `whole`: from sending the request to the end of an answer that is not streamed.
    """

    first_event: float
    idle: float
    thinking: float
    whole: float = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long providers may take, in seconds.

    `connect`: until a connection is established. `total`: for all attempts of a run together. `fallback`: for an
    attempt while another candidate can be asked; `last`: for one without an alternative. A connection that breaks after
    `stall_after` seconds of silence counts as a stall.
    """

    connect: float = 10.0
    total: float = 600.0
    fallback: Timeouts = Timeouts(12.0, 15.0, 120.0)
    last: Timeouts = Timeouts(120.0, 60.0, 600.0)
    stall_after: float = 5.0


_STALE_WINDOW = 2.0  # seconds; a round trip through the slowest of networks


class Client:
    """All connections to all providers. Each caller sets its own timeouts (`Deadlines`).

    `connect`: timeout for establishing a connection. `stale_window`: a reused keep-alive connection that ends within
    this time after the request is stale: the server closed it before the request arrived. Both in seconds.
    """

    def __init__(self, connect: float, stale_window: float = _STALE_WINDOW) -> None:
        self._connect = connect
        self._stale_window = stale_window
        self._dialer = Dialer(connect)
        self._pool = Pool()
        self._users: Counter[Origin] = Counter()

    def with_connect(self, connect: float) -> "Client":
        """The same connections, with another timeout for new ones."""
        if connect == self._connect:
            return self
        changed = copy(self)
        changed._connect, changed._dialer = connect, Dialer(connect)  # noqa: SLF001  of the same class
        return changed

    @contextmanager
    def serving(self, origins: Collection[Origin]) -> Iterator[None]:
        """One configuration uses these origins. Idle connections to origins that no configuration uses any more are
        closed at the end of the block.
        """
        self._users.update(origins)
        try:
            yield
        finally:
            self._users.subtract(origins)
            for origin in origins:
                if self._users[origin] <= 0:
                    del self._users[origin]
                    self._pool.discard(origin)

    async def post(self, endpoint: Endpoint, body: bytes, *, fresh: bool = False) -> Response:
        """Send one request and wait for the response's head; `fresh` forces a new connection.

        It never retries: after StaleConnection the caller retries with `fresh`, so that the attempt is counted. Raises
        TransportError.
        """
        origin = endpoint.origin
        large = body if len(body) > PIECE else b""
        request = b"%b%d\r\n\r\n%b" % (endpoint.head, len(body), b"" if large else body)
        connection = None if fresh else self._pool.acquire(origin)
        if connection is not None:
            clock = asyncio.get_running_loop().time
            sent = clock()
            try:
                await connection.send(request, large)
                # Some servers send a 408 before they close an idle connection (RFC 9110 §15.5.9).
                stale = connection.status == 408 and clock() - sent <= self._stale_window
            except Disconnected as error:
                if error.untouched and clock() - sent <= self._stale_window:
                    raise StaleConnection("the server closed an idle connection") from error
                raise
            except BaseException:
                connection.abort()
                raise
            if stale:
                connection.abort()
                raise StaleConnection("the server ended an idle connection")
            return Response(connection, origin, self._pool)
        connection = await self._dialer.connect(origin)
        try:
            await connection.send(request, large)
        except BaseException:
            connection.abort()
            raise
        return Response(connection, origin, self._pool)

    async def close(self) -> None:
        """Close the idle connections. Readers end the responses in use."""
        await self._pool.close()


@asynccontextmanager
async def create_client(limits: Limits, kind: type[Client] = Client) -> AsyncIterator[Client]:
    """A client for all providers, closed at the end of the block."""
    client = kind(limits.connect)
    try:
        yield client
    finally:
        await client.close()
