"""Reads a request body, bounded in size and time. Only handlers of authenticated requests call it."""

import asyncio

from aiohttp import web

from gateway.core.errors import BadRequest, PayloadTooLarge, RequestTimeout


async def read_body(request: web.Request, limit: int, within: float) -> bytes:
    """The whole body: at most `limit` bytes, complete `within` seconds. Raises PayloadTooLarge or RequestTimeout.

    A declared length above the limit is refused before reading. `100 Continue` is sent here, so that a refused client
    never sends its body.
    """
    if (request.content_length or 0) > limit:
        raise PayloadTooLarge("Payload too large")
    content = request.content
    if "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if content.is_eof():  # the body arrived with the headers
        data = content.read_nowait()
        if len(data) > limit:
            raise PayloadTooLarge("Payload too large")
        return data
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within):
            while chunk := await content.readany():
                size += len(chunk)
                if size > limit:
                    raise PayloadTooLarge("Payload too large")
                chunks.append(chunk)
    except TimeoutError:
        raise RequestTimeout("Request body timeout") from None
    except web.PayloadAccessError:
        raise BadRequest("The request body ended early.") from None
    return b"".join(chunks)
