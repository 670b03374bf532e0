"""One connection to a provider: a request out, its answer in, any number of times.

The parser is llhttp by way of httptools; pieces of a body and headers go straight into a list and a dictionary, so that
nothing of ours runs for each of them. Reading pauses while nobody takes what came.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.transport.errors import BodyBroken, Disconnected, NotHTTP, TransportError

_READ_AHEAD = 2**18  # bytes that wait for their reader before the sender is made to wait
_MOST_OVERHEAD = 2**16  # bytes without a piece of a body among them: head, trailers, what stands between chunks
_MOST_INFORMATION = 16  # answers of the 100 class before the one that counts


class Connection(asyncio.Protocol):
    """Made by `gateway.upstream.transport.dial`. One exchange at a time: `ask`, then `read` to the end, or `abort`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.headers: dict[bytes, bytes] = {}
        """Of the answer, the names as they were sent."""
        self.status = 0
        """Of the answer; 0 until its head is complete."""
        self.complete = True
        """Whether the whole answer has come; what of it was not read yet is still there."""
        self.idle_since = 0.0
        self._body: list[bytes] = []
        self._ended: asyncio.Future[None] | None = None
        # Made anew for each reader: an exception that was raised holds the frames that it went through.
        self._error: Callable[[], TransportError] | None = None
        self._head_done = False
        self._keep = False
        self._loop = loop
        self._lost = False
        self._overhead = 0
        self._information = 0
        # It knows us as we know it, so that it has to be let go of at the end.
        self._parser: HttpResponseParser | None = HttpResponseParser(_Callbacks(self, self.headers, self._body))
        # As lenient as aiohttp's client and browsers are with servers.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._unread = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: the last answer is complete, and both sides are willing."""
        transport = self._transport
        return (
            self.complete
            and self._keep
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    async def ask(self, request: bytes) -> None:
        """Send a whole request and wait for the head of its answer. Raises TransportError; then abort it."""
        if self._transport is None or self._lost:
            raise Disconnected(untouched=True)
        self.headers.clear()
        self._take()  # of the last answer, if nobody wanted it
        self.status = self._overhead = self._information = 0
        self.complete = self._head_done = self._keep = False
        self._transport.write(request)
        while not self._head_done:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body, at least a byte; nothing at its end. Raises TransportError after the rest."""
        while not self._body:
            if self.complete:
                return b""
            await self._wait()
        return self._take()

    def abort(self) -> None:
        """End the connection at once, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until nothing of it is left."""
        if not self._lost:
            if self._ended is None:
                self._ended = self._loop.create_future()
            await self._ended

    def _take(self) -> bytes:
        body = self._body
        piece = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return piece

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
        """It stands."""
        self._transport = transport  # type: ignore[assignment]  # TCP's and TLS's are both ways

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer, or of nothing that was asked for."""
        if self.complete or self._parser is None:
            self._fail(NotHTTP, "an answer that nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:  # else the answer is whole, and what came after it is no reason to lose it
                self._fail(BodyBroken if self._head_done else NotHTTP, str(error))
                return
            self._keep = False
        if self._body:
            self._overhead = 0
            self._unread += len(data)
            if self._unread > _READ_AHEAD and not self._paused and not self.complete and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        elif not self.complete:
            self._overhead += len(data)
            if self._overhead > _MOST_OVERHEAD:
                self._fail(NotHTTP, "more headers than any answer has")
                return
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone. That is the end of a body that says neither its length nor its chunks."""
        self._lost = True
        self._parser = None
        if not self.complete and self._error is None:
            if not self._head_done:
                self._error = partial(Disconnected, untouched=not self.headers and self._overhead == 0)
            elif exc is None and not self._framed():
                self.complete = True
            else:
                self._error = partial(BodyBroken, "the connection ended inside the body")
        self._wake()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _framed(self) -> bool:
        names = {name.lower() for name in self.headers}
        return b"content-length" in names or b"transfer-encoding" in names

    def _fail(self, kind: type[BodyBroken | NotHTTP], why: str) -> None:
        self._error = self._error or partial(kind, why)
        self._keep = False
        self.abort()
        self._wake()

    # Called by the parser.

    def head_came(self) -> None:
        """All headers are there."""
        if self.complete:
            raise ValueError("a second answer to one request")
        status = 0 if self._parser is None else self._parser.get_status_code()
        if status >= 200:
            self.status = status
            self._head_done = True

    def message_came(self) -> None:
        """The answer is complete, unless it only announced one (RFC 9110 §15.2)."""
        if self._head_done:
            self._keep = self._parser is not None and self._parser.should_keep_alive()
            self.complete = True
            return
        self.headers.clear()
        self._information += 1
        if self._information > _MOST_INFORMATION:
            raise ValueError("announcements without end")


class _Callbacks:
    """What the parser calls, looked up once when it is made."""

    def __init__(self, connection: Connection, headers: dict[bytes, bytes], body: list[bytes]) -> None:
        self.on_header = headers.__setitem__
        self.on_headers_complete = connection.head_came
        self.on_body = body.append
        self.on_message_complete = connection.message_came
