"""Names each request and stamps every response with that name and the security headers."""

import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.http.keys import TRACE, Trace
from gateway.http.server.drain import Drain
from gateway.observe.context import REQUEST_ID

_SANE = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
# Unique over restarts and instances by the prefix, within a process by the count: cheaper than randomness each time.
_PREFIX = "req_" + secrets.token_hex(8)
_COUNT = itertools.count(1)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
}


def name_request(request: web.Request) -> None:
    """Add TRACE. A caller's own `x-request-id` is kept when it is sane."""
    said = request.headers.get("X-Request-ID")
    name = said if said is not None and _SANE.fullmatch(said) else f"{_PREFIX}{next(_COUNT):06x}"
    request[TRACE] = Trace(name, time.monotonic())
    REQUEST_ID.set(name)


def stamper(extra: dict[str, str], drain: Drain) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The `on_response_prepare` signal that adds the headers of every response; `extra` are the configured ones.

    Once `drain` has begun, every response also asks its connection to end.
    """
    headers = SECURITY_HEADERS | extra

    async def stamp(request: web.Request, response: web.StreamResponse) -> None:
        sent = response.headers
        sent.update(headers)
        del sent["Server"]  # which software and version this is, is nobody's business (recorded: never sent)
        trace = request.get(TRACE)
        if trace is not None:
            sent["X-Request-ID"] = trace.id
        if drain.begun:
            response.force_close()
            sent["Connection"] = "close"

    return stamp
