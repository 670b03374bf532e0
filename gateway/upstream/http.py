"""The one way to ask a provider: a POST over pooled connections; no cookies, no redirects, no hidden timeouts.

Everything that sends bytes to a provider goes through a client made here, so that the transport can be replaced in one
place.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway import __version__
from gateway.upstream.transport.dial import Dialer
from gateway.upstream.transport.endpoint import Endpoint
from gateway.upstream.transport.errors import Disconnected
from gateway.upstream.transport.pool import Pool
from gateway.upstream.transport.response import Response

USER_AGENT = f"openclaw-gateway/{__version__}"
# Providers get exactly the headers of their row and these: nothing of the caller's request is ever copied.
DEFAULTS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a provider may take, in seconds.

    `connect`: until a connection stands. `first_event`: from sending the request to the first event of a stream.
    `idle`: between events. `silence`: from sending the request to the end of an answer that is not streamed.
    `total`: for everything together.
    """

    connect: float = 10.0
    first_event: float = 30.0
    idle: float = 30.0
    silence: float = 300.0
    total: float = 600.0


_CROSSING = 2.0  # seconds; both ways through the slowest of networks


class Client:
    """All connections to all providers. Limits of waiting are set by each call (`Deadlines`).

    `connect` is how long a connection may take to stand, `crossing` how long after a request the end of a kept
    connection can still be one that was on its way before; both in seconds.
    """

    def __init__(self, connect: float, crossing: float = _CROSSING) -> None:
        self._crossing = crossing
        self._dialer = Dialer(connect)
        self._pool = Pool()

    async def post(self, endpoint: Endpoint, body: bytes) -> Response:
        """Ask, and wait for the head of the answer. Raises TransportError.

        A server may close a kept connection just when it is used again. That is found out soon and before a byte of an
        answer has come, says nothing about the provider, and the request is sent again at once on a new connection.
        """
        origin = endpoint.origin
        request = b"%b%d\r\n\r\n%b" % (endpoint.head, len(body), body)
        connection = self._pool.acquire(origin)
        if connection is not None:
            clock = asyncio.get_running_loop().time
            sent = clock()
            try:
                await connection.send(request)
            except Disconnected as error:
                if not error.untouched or clock() - sent > self._crossing:
                    raise
            except BaseException:
                connection.abort()
                raise
            else:
                return Response(connection, origin, self._pool)
        connection = await self._dialer.connect(origin)
        try:
            await connection.send(request)
        except BaseException:
            connection.abort()
            raise
        return Response(connection, origin, self._pool)

    async def close(self) -> None:
        """Close what is kept. Whoever has a response ends it."""
        await self._pool.close()


@asynccontextmanager
async def create_client(limits: Limits) -> AsyncIterator[Client]:
    """A client for all providers, closed at the end of the block."""
    client = Client(limits.connect)
    try:
        yield client
    finally:
        await client.close()
