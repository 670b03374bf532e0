"""Gives each request an id, and adds this id and the security headers to every response."""

import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.http.keys import TRACE, Trace
from gateway.http.server.drain import Drain
from gateway.observe.context import REQUEST_ID

_VALID_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
# The prefix is unique per process and the count within it. This costs less than a random id per request.
_PREFIX = "req_" + secrets.token_hex(8)
_COUNT = itertools.count(1)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
}


def set_request_id(request: web.Request) -> None:
    """Add TRACE. The client's own `x-request-id` is used if it is valid."""
    requested = request.headers.get("X-Request-ID")
    valid = requested is not None and _VALID_ID.fullmatch(requested)
    request_id = requested if requested is not None and valid else f"{_PREFIX}{next(_COUNT):06x}"
    request[TRACE] = Trace(request_id, time.monotonic())
    REQUEST_ID.set(request_id)


def response_headers(
    configured: dict[str, str], drain: Drain
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The `on_response_prepare` signal that adds the headers of every response, including the `configured` ones.

    Once `drain` has started, every response also closes its connection.
    """
    common = SECURITY_HEADERS | configured

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.update(common)
        del headers["Server"]  # as in OpenClaw; it would reveal the software and its version
        trace = request.get(TRACE)
        if trace is not None:
            headers["X-Request-ID"] = trace.id
        if drain.started:
            response.force_close()
            headers["Connection"] = "close"

    return add_headers
