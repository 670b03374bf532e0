"""A WebSocket to a client: bounded messages within the budget of large bodies, pings, and a limit on stalled writes."""

import asyncio
from typing import Any

from aiohttp import WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from gateway.core.errors import GatewayError, Overloaded, PayloadTooLarge
from gateway.http.large_bodies import LARGE, BodyReservation, LargeBodies
from gateway.http.server.stalled import stalled

_CLOSE_TIMEOUT = 2.0  # seconds for the client's close frame
_STALL_TIMEOUT = 120.0  # seconds in which a client reads nothing
_FRAME_HEAD = 14  # bytes at most
_FRAGMENTS = 2**18  # bytes of frame heads, and of a message after this one, that may be unread too


class ClientSocket(web.WebSocketResponse):
    """One WebSocket. A message may have `max_bytes`; a large one needs room in `bodies` while it arrives.

    No compression: a compressed message could unpack to many times its size. The pings keep the connection open in
    proxies. Their answers are not awaited: a client may read nothing while it runs its tools. TCP notices dead clients.
    """

    def __init__(self, max_bytes: int, bodies: LargeBodies, caller: str) -> None:
        # aiohttp's own limit resets the connection, so that the client may not read why. It is for absurd sizes.
        super().__init__(timeout=_CLOSE_TIMEOUT, compress=False, max_msg_size=4 * max_bytes, decode_text=False)
        self._max_bytes = max_bytes
        self._bodies = bodies
        self._caller = caller
        self._unread: _Unread | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send the handshake. Raises HTTPBadRequest if the client's is wrong."""
        writer = await super().prepare(request)
        if self._unread is None:
            # aiohttp has no public way to count a message before it is complete.
            protocol: Any = request.protocol
            parser = protocol._payload_parser  # noqa: SLF001
            self._unread = _Unread(parser, self._reader, self._max_bytes, self._bodies, self._caller)
            protocol._payload_parser = self._unread  # noqa: SLF001
        return writer

    async def next_message(self) -> tuple[bytes, BodyReservation] | None:
        """The next message, text or binary, and its reservation, which the caller releases. None at the end.

        Raises PayloadTooLarge or Overloaded: then only `close` makes sense, and everything that arrives is discarded.
        """
        if self._unread is None:
            raise AssertionError("the WebSocket is not prepared")
        message = await self.receive()
        if isinstance(message.data, GatewayError):
            raise message.data
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        data: bytes = message.data
        if len(data) > self._max_bytes:
            raise PayloadTooLarge("Payload too large")
        return data, self._unread.read(len(data))

    async def send_text(self, payload: bytes) -> None:
        """Send one text message. Raises ConnectionError if the client has left, or was dropped because it stalls."""
        try:
            async with asyncio.timeout(_STALL_TIMEOUT):
                await self.send_frame(payload, WSMsgType.TEXT)
        except TimeoutError:
            self.abort()
            raise stalled(self._req.path if self._req is not None else "", _STALL_TIMEOUT) from None

    async def send_pings(self, interval: float) -> None:
        """Send a ping every `interval` seconds until cancelled, or until the client has left."""
        while not self.closed:
            await asyncio.sleep(interval)
            try:
                await self.ping()
            except ConnectionError:
                return

    def abort(self) -> None:
        """Close the connection without a close frame."""
        transport = self._req.transport if self._req is not None else None
        if transport is not None:
            transport.abort()

    def release(self) -> None:
        """Drop what nobody has read, with its reservation. Call it at the end of the connection."""
        if self._unread is not None:
            self._unread.discard()
            self._unread = None


class _Unread:
    """Stands before aiohttp's parser and reserves the bytes of messages while they arrive, unless they are few."""

    def __init__(self, parser: Any, queue: Any, max_bytes: int, bodies: LargeBodies, caller: str) -> None:
        self._parser = parser
        self._queue = queue  # of complete messages
        self._max_bytes = max_bytes
        self._refused = False
        self._bodies = bodies
        self._caller = caller
        self._size = 0
        self.reservation = bodies.reserve(caller)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """See aiohttp's parser."""
        if self._refused:
            return False, b""
        self._size += len(data)
        try:
            self._reserve()
        except (PayloadTooLarge, Overloaded) as error:
            self._queue.feed_data(WSMessage(WSMsgType.ERROR, error, None), 0)
            self.discard()
            return False, b""
        ended: tuple[bool, bytes] = self._parser.feed_data(data)
        return ended

    def _reserve(self) -> None:
        if self._size > self._max_bytes + _FRAGMENTS:
            raise PayloadTooLarge("Payload too large")
        if self._size > LARGE:
            self.reservation.grow(self._size)

    def feed_eof(self) -> None:
        """See aiohttp's parser."""
        if not self._refused:
            self._parser.feed_eof()

    def discard(self) -> None:
        """Drop a message that is not complete, and what still arrives. aiohttp's connection holds this object longer
        than its socket.
        """
        self._refused = True
        self._parser = self._queue = None
        self.reservation.release()

    def read(self, size: int) -> BodyReservation:
        """The reservation of a message of `size` bytes, which is no longer unread."""
        self.reservation.release()
        self._size = max(0, self._size - size - _FRAME_HEAD)
        message, self.reservation = self._bodies.reserve(self._caller), self._bodies.reserve(self._caller)
        if size > LARGE:
            message.grow(size)
        if self._size > LARGE:
            self.reservation.grow(self._size)
        return message
