"""Gives each request an id."""

import itertools
import re
import secrets
import time

from aiohttp import web

from gateway.http.keys import TRACE, Trace
from gateway.observe.context import REQUEST_ID

_VALID_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
# The prefix is unique per process and the count within it. This costs less than a random id per request.
_PREFIX = "req_" + secrets.token_hex(8)
_COUNT = itertools.count(1)


def set_request_id(request: web.Request, header: str | None = None) -> Trace:
    """Add TRACE and return it. The client's own `x-request-id` is used if it is valid.

    `header` is another one of the response that holds the id, as the route's clients expect.
    """
    requested = request.headers.get("X-Request-ID")
    valid = requested is not None and _VALID_ID.fullmatch(requested)
    request_id = requested if requested is not None and valid else f"{_PREFIX}{next(_COUNT):06x}"
    request[TRACE] = trace = Trace(request_id, time.monotonic())
    REQUEST_ID.set(request_id)
    if header is not None:
        trace.added_headers = {header: request_id}
    return trace
