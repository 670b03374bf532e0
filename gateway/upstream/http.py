"""The one HTTP client session: pooled connections, no cookies, no redirects, no hidden timeouts.

Everything that sends bytes to a provider goes through a session made here, so that the transport can be replaced in
one place.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from gateway import __version__

USER_AGENT = f"openclaw-gateway/{__version__}"


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


class _Connection(ResponseHandler):
    """aiohttp's, but whoever reads a body learns at once that its framing is broken, instead of waiting for more.

    And each piece that is taken from a body asks to read on, which runs the parser over nothing: a third of what a
    chunk of a burst costs. Here it runs only after a pause.
    """

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """The connection is unusable."""
        body = self._payload
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and body is not None and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the framing of the body is broken"))


def _connection(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Connection(loop)


class _Connector(aiohttp.TCPConnector):
    """Makes such connections."""

    def __init__(self) -> None:
        super().__init__(limit=0, ttl_dns_cache=60, keepalive_timeout=30)
        self._factory = partial(_connection, asyncio.get_running_loop())


def create_session(limits: Limits) -> aiohttp.ClientSession:
    """A session for all providers. The caller closes it; limits of waiting are set by each call (`Deadlines`)."""
    return aiohttp.ClientSession(
        connector=_Connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect),
        # Providers get exactly the headers of their row: nothing of the caller's request is ever copied.
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        read_bufsize=2**18,
    )
