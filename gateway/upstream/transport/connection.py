"""One connection to a provider: it sends a request and receives its response, any number of times.

The parser is llhttp through httptools. It writes body chunks and headers directly into a list and a dictionary, so no
Python function runs for each of them. Reading pauses while the reader is slow.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.transport.errors import BodyBroken, Disconnected, NotHTTP, TlsFailed, TransportError

_MAX_READ_AHEAD = 2**18  # unread bytes before reading pauses
_MAX_OVERHEAD = 2**16  # consecutive bytes without body data: the head, trailers, chunk extensions
_MAX_INTERIM_RESPONSES = 16  # responses with a status of 1xx before the final one

PIECE = 2**17
"""Bytes of a large body that are sent at once; other requests have their turn in between."""


class ProviderConnection(asyncio.Protocol):
    """`dial` creates it. It carries one exchange at a time: `send`, then `read` until the end, or `abort`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.headers: dict[bytes, bytes] = {}
        """The response's headers. The names have their original case."""
        self.status = 0
        """The response's status, 0 until its head is complete."""
        self.complete = True
        """Whether the whole response has arrived. A part of it may be unread."""
        self.idle_since = 0.0
        self._body: list[bytes] = []
        self._close_waiter: asyncio.Future[None] | None = None
        # A function, because every reader needs a new exception: a raised one references the frames it passed.
        self._error: Callable[[], TransportError] | None = None
        self._head_complete = False
        self._keep_alive = False
        self._loop = loop
        self._lost = False
        self._overhead = 0
        self._interim_responses = 0
        # The parser references this object, so `connection_lost` breaks the reference cycle.
        self._parser: HttpResponseParser | None = HttpResponseParser(_Callbacks(self, self.headers, self._body))
        # As lenient with servers as aiohttp's client and browsers.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._paused = False
        self._sending_paused = False
        self._sent = True
        self._transport: asyncio.Transport | None = None
        self._unread = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: the last one and its response are complete, and both sides keep the
        connection.
        """
        transport = self._transport
        return (
            self.complete
            and self._sent
            and self._keep_alive
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    async def send(self, request: bytes, body: bytes = b"") -> None:
        """Send a request and wait for the response's head. After TransportError, the caller must abort.

        `body` is a large one, of which `request` has only the head. It is sent in pieces, until the response's head
        has arrived.
        """
        if self._transport is None or self._lost:
            raise Disconnected(untouched=True)
        self.headers.clear()
        self._take()  # the unread rest of the last response
        self.status = self._overhead = self._interim_responses = 0
        self.complete = self._head_complete = self._keep_alive = False
        self._transport.write(request)
        if body:
            await self._send_pieces(self._transport, memoryview(body))
        while not self._head_complete:
            await self._wait()

    async def _send_pieces(self, transport: asyncio.Transport, data: memoryview) -> None:
        self._sent = False
        for start in range(0, len(data), PIECE):
            if self._head_complete or transport.is_closing():
                return
            transport.write(data[start : start + PIECE])
            await asyncio.sleep(0)
            while self._sending_paused and not self._head_complete:
                await self._wait()
        self._sent = True

    async def read(self) -> bytes:
        """The body data that has arrived, b"" at its end. Raises TransportError after the last data."""
        while not self._body:
            if self.complete:
                return b""
            await self._wait()
        return self._take()

    def abort(self) -> None:
        """Close the connection at once and drop all data."""
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until the connection is closed."""
        if not self._lost:
            if self._close_waiter is None:
                self._close_waiter = self._loop.create_future()
            await self._close_waiter

    def _take(self) -> bytes:
        body = self._body
        data = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error()
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = transport  # type: ignore[assignment]  # TCP's and TLS's transports read and write

    def data_received(self, data: bytes) -> None:
        """Parse data of a response. Data without a request is an error."""
        if self.complete or self._parser is None:
            self._fail(NotHTTP, "the provider sent a response without a request")
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:  # a complete response stays valid, whatever follows it
                self._fail(BodyBroken if self._head_complete else NotHTTP, str(error))
                return
            self._keep_alive = False
        if self._body:
            self._overhead = 0
            self._unread += len(data)
            transport = self._transport
            if self._unread > _MAX_READ_AHEAD and not self._paused and not self.complete and transport is not None:
                self._paused = True
                transport.pause_reading()
        elif not self.complete:
            self._overhead += len(data)
            if self._overhead > _MAX_OVERHEAD:
                self._fail(NotHTTP, f"the provider sent more than {_MAX_OVERHEAD} bytes of headers")
                return
        self._wake()

    def pause_writing(self) -> None:
        """The provider reads more slowly than the request is sent."""
        self._sending_paused = True

    def resume_writing(self) -> None:
        """The provider has read."""
        self._sending_paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed. This ends a body without a length and without chunks."""
        self._lost = True
        self._parser = None
        if not self.complete and self._error is None:
            if not self._head_complete and isinstance(exc, ssl.SSLError) and "ALERT" in (exc.reason or ""):
                # In TLS 1.3, a server judges the client's certificate after the handshake (RFC 8446 §4.4.2.4).
                self._error = partial(TlsFailed, f"its server ended the TLS connection ({exc.reason})")
            elif not self._head_complete:
                self._error = partial(Disconnected, untouched=not self.headers and self._overhead == 0)
            elif exc is None and not self._has_framing():
                self.complete = True
            else:
                self._error = partial(BodyBroken, "the connection ended inside the body")
        self._wake()
        if self._close_waiter is not None and not self._close_waiter.done():
            self._close_waiter.set_result(None)

    def _has_framing(self) -> bool:
        names = {name.lower() for name in self.headers}
        return b"content-length" in names or b"transfer-encoding" in names

    def _fail(self, kind: type[BodyBroken | NotHTTP], reason: str) -> None:
        self._error = self._error or partial(kind, reason)
        self._keep_alive = False
        self.abort()
        self._wake()

    # Called by the parser.

    def on_headers_complete(self) -> None:
        """All headers of a response have arrived."""
        if self.complete:
            raise ValueError("a second response to one request")
        status = 0 if self._parser is None else self._parser.get_status_code()
        if status >= 200:
            self.status = status
            self._head_complete = True

    def on_message_complete(self) -> None:
        """The response is complete, or it was an interim response (RFC 9110 §15.2)."""
        if self._head_complete:
            self._keep_alive = self._parser is not None and self._parser.should_keep_alive()
            self.complete = True
            return
        self.headers.clear()
        self._interim_responses += 1
        if self._interim_responses > _MAX_INTERIM_RESPONSES:
            raise ValueError("too many interim responses")


class _Callbacks:
    """The parser's callbacks. The parser looks them up once."""

    def __init__(self, connection: ProviderConnection, headers: dict[bytes, bytes], body: list[bytes]) -> None:
        self.on_header = headers.__setitem__
        self.on_headers_complete = connection.on_headers_complete
        self.on_body = body.append
        self.on_message_complete = connection.on_message_complete
