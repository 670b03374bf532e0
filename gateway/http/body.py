"""Reads a request body, bounded in size, values and time, and decodes its content coding.

Only handlers of authenticated requests call it.
"""

import asyncio
import io
from collections.abc import Iterator

from aiohttp import web

from gateway.core.content_coding import CODINGS, BrokenCoding, ContentDecoder, StackedDecoder
from gateway.core.errors import BadRequest, Overloaded, PayloadTooLarge, RequestTimeout, UnsupportedCoding
from gateway.http.keys import CLIENT, PRINCIPAL
from gateway.http.large_bodies import LARGE, BodyReservation, reserved
from gateway.http.quota import identity
from gateway.http.server.connections import ClientConnection

_MAX_PIECE = 64 * 1024  # bytes that are decompressed before other requests have their turn
_MAX_CODINGS = 3  # of one body; nobody has a reason for two
_ACCEPTED = ", ".join(name for name in CODINGS if not name.startswith("x-"))

Decoder = ContentDecoder | StackedDecoder


async def read_body(request: web.Request, limit: int, within: float, *, token_ids: int = 0) -> bytes:
    """The whole body, decompressed: at most `limit` bytes before and after, complete `within` seconds. Beside the
    values that every body may have, it may have `token_ids` numbers in arrays.

    Raises BadRequest, PayloadTooLarge, RequestTimeout, UnsupportedCoding, or Overloaded for a large body while there
    are too many of them.

    A declared length above the limit is refused before reading. `100 Continue` is sent here, so that a refused client
    never sends its body.
    """
    declared = request.content_length or 0
    if declared > limit:
        _discard(request)
        raise PayloadTooLarge("Payload too large")
    decoder = _decoder(request, limit) if "Content-Encoding" in request.headers else None
    reservation: BodyReservation | None = None
    if declared > LARGE:
        reservation = _reserved(request, token_ids)
        try:
            reservation.grow(declared)
        except Overloaded:
            _discard(request)
            raise
    content = request.content
    if "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if reservation is None and decoder is None and content.is_eof():  # the body arrived with the headers
        data = content.read_nowait()
        if len(data) > limit:
            raise PayloadTooLarge("Payload too large")
        return data
    body = _Body(request, limit, reservation, token_ids)
    try:
        async with asyncio.timeout(within):
            if decoder is None:
                while part := await content.readany():
                    body.add(part)
                    await body.turn()
            else:
                await _decode(request, limit, decoder, body)
    except TimeoutError:
        raise RequestTimeout("Request body timeout") from None
    except web.PayloadAccessError:
        raise BadRequest("The request body ended early.") from None
    return body.joined()


def _discard(request: web.Request) -> None:
    if isinstance(request.protocol, ClientConnection) and not request.content.is_eof():
        request.protocol.discard_body(request)


async def _decode(request: web.Request, limit: int, decoder: Decoder, body: "_Body") -> None:
    received = 0
    try:
        while part := await request.content.readany():
            received += len(part)
            if received > limit:
                raise PayloadTooLarge("Payload too large")
            for piece in _pieces(decoder, part):
                body.add(piece)
                await (body.turn() if body.is_large else asyncio.sleep(0))
        decoder.finish()
    except BrokenCoding as error:
        coding = request.headers["Content-Encoding"]
        raise BadRequest(f"The request can't be decoded as {coding}: {error}.", code="invalid_content_coding") from None


def _pieces(decoder: Decoder, part: bytes) -> Iterator[bytes]:
    for start in range(0, len(part), _MAX_PIECE):
        decoder.feed(part[start : start + _MAX_PIECE])
        while piece := decoder.take():
            yield piece


def _decoder(request: web.Request, limit: int) -> Decoder | None:
    """The decoder for the content codings of the request, None without any. Raises UnsupportedCoding."""
    named = ", ".join(request.headers.getall("Content-Encoding")).lower()
    codings = [name for part in named.split(",") if (name := part.strip()) not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > _MAX_CODINGS or any(coding not in CODINGS for coding in codings):
        raise UnsupportedCoding(named, _ACCEPTED)
    if len(codings) == 1:
        return ContentDecoder(codings[0], max_piece=_MAX_PIECE)
    return StackedDecoder(codings, max_piece=_MAX_PIECE, limit=limit)


class _Body:
    """The parts of one body; a large one is reserved, and its values are counted.

    A large body grows in one block, which has a mapping of its own (`gateway.cli.allocator`). Its parts, collected,
    would fill the heap, and small blocks between them would hold that memory in the process.
    """

    def __init__(self, request: web.Request, limit: int, reservation: BodyReservation | None, token_ids: int) -> None:
        self._request = request
        self._token_ids = token_ids
        self._limit = limit
        self._reservation = reservation
        self._parts: list[bytes] = []
        self._large: io.BytesIO | None = None
        self._size = 0

    def add(self, part: bytes) -> None:
        """Add the next part. Raises PayloadTooLarge or Overloaded."""
        self._size += len(part)
        if self._size > self._limit:
            raise PayloadTooLarge("Payload too large")
        if self._size <= LARGE:
            self._parts.append(part)
            return
        if self._reservation is None:
            self._reservation = _reserved(self._request, self._token_ids)
        self._reservation.grow(self._size)
        if self._large is None:
            part = b"".join([*self._parts, part])
            self._parts.clear()
            self._large = io.BytesIO()
        self._reservation.count(part)
        self._large.write(part)

    @property
    def is_large(self) -> bool:
        """Whether it is large so far."""
        return self._large is not None

    async def turn(self) -> None:
        """Wait until it may add more."""
        if self._reservation is not None:
            await self._reservation.turn()

    def joined(self) -> bytes:
        """The whole body."""
        return b"".join(self._parts) if self._large is None else self._large.getvalue()  # without a copy


def _reserved(request: web.Request, token_ids: int) -> BodyReservation:
    return reserved(request, identity(request[PRINCIPAL], request[CLIENT]), token_ids)
