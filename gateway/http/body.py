"""Reads a request body, bounded in size, values and time. Only handlers of authenticated requests call it."""

import asyncio

from aiohttp import web

from gateway.core.errors import BadRequest, PayloadTooLarge, RequestTimeout
from gateway.http.keys import CLIENT, PRINCIPAL
from gateway.http.large_bodies import LARGE, BodyReservation, reserved
from gateway.http.quota import identity


async def read_body(request: web.Request, limit: int, within: float) -> bytes:
    """The whole body: at most `limit` bytes, complete `within` seconds. Raises PayloadTooLarge, RequestTimeout, or
    Overloaded for a large body while there are too many of them.

    A declared length above the limit is refused before reading. `100 Continue` is sent here, so that a refused client
    never sends its body.
    """
    declared = request.content_length or 0
    if declared > limit:
        raise PayloadTooLarge("Payload too large")
    reservation: BodyReservation | None = None
    if declared > LARGE:
        reservation = _reserved(request)
        reservation.grow(declared)
    content = request.content
    if "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if reservation is None and content.is_eof():  # the body arrived with the headers
        data = content.read_nowait()
        if len(data) > limit:
            raise PayloadTooLarge("Payload too large")
        return data
    try:
        async with asyncio.timeout(within):
            return await _read_parts(request, limit, reservation)
    except TimeoutError:
        raise RequestTimeout("Request body timeout") from None
    except web.PayloadAccessError:
        raise BadRequest("The request body ended early.") from None


async def _read_parts(request: web.Request, limit: int, reservation: BodyReservation | None) -> bytes:
    content = request.content
    parts: list[bytes] = []
    size = counted = 0
    while part := await content.readany():
        size += len(part)
        if size > limit:
            raise PayloadTooLarge("Payload too large")
        parts.append(part)
        if size > LARGE:
            if reservation is None:
                reservation = _reserved(request)
            reservation.grow(size)
            for uncounted in parts[counted:]:
                reservation.count(uncounted)
            counted = len(parts)
    return b"".join(parts)


def _reserved(request: web.Request) -> BodyReservation:
    return reserved(request, identity(request[PRINCIPAL], request[CLIENT]))
