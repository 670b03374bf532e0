"""Reads the bodies of providers' responses: an answer as a whole, the report of a failure, the end of a stream."""

import asyncio

import structlog

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.failure import from_status
from gateway.upstream.transport.errors import TransportError
from gateway.upstream.transport.response import Response
from gateway.wire.contract import UpstreamFormat

log = structlog.get_logger(__name__)

_MAX_ERROR_BODY = 64 * 1024
_ERROR_BODY_WAIT = 5.0  # seconds
_MAX_REPLY = 64 * 1024 * 1024
_GRACE = 0.05  # seconds for a finished stream to end, so that its connection can be reused


async def refusal(response: Response, wire: UpstreamFormat) -> UpstreamError:
    """The failure that a response other than 200 reports; as much of its body as may be is read."""
    body = b""
    try:
        async with asyncio.timeout(_ERROR_BODY_WAIT):
            while len(body) < _MAX_ERROR_BODY and (data := await response.read()):
                body += data
    except (TransportError, TimeoutError) as error:
        log.info("The body of an error response broke off", status=response.status, reason=type(error).__name__)
    return from_status(wire, response.status, response.headers, body)


async def read_whole(response: Response) -> bytes:
    """The body of an answer. Raises UpstreamError as soon as it exceeds `_MAX_REPLY`."""
    pieces: list[bytes] = []
    size = 0
    while data := await response.read():
        size += len(data)
        if size > _MAX_REPLY:
            raise UpstreamError(UpstreamKind.MALFORMED, "The provider's answer is too large.")
        pieces.append(data)
    return b"".join(pieces)


async def finish(response: Response) -> None:
    """Wait briefly for a finished stream to end, so that its connection can be reused; else abandon the connection."""
    if not response.read_to_end:
        try:
            async with asyncio.timeout(_GRACE):
                await response.read()
        except (TransportError, TimeoutError):
            response.abandon()
