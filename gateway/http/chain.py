"""What every request passes around and before its handler, top to bottom; each link is a file, order is documentation.

One middleware runs all of it, because coroutines nested around every request were a tenth of its cost. The checks look
at the request, add at most one key to it, and raise to refuse. They are plain functions that return something to wait
for only when they have to.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway.http.checks.authenticate import authenticate
from gateway.http.checks.client import identify_client
from gateway.http.checks.scopes import require_scope
from gateway.http.errors import response_to
from gateway.http.keys import ROUTES
from gateway.http.routes import is_exact
from gateway.http.trace import name_request

Check = Callable[[web.Request], Awaitable[None] | None]

CHECKS: tuple[Check, ...] = (
    identify_client,  # trusted proxies → CLIENT, or 403
    authenticate,  # credential → outcome → 401, 429, or PRINCIPAL and on we go
    require_scope,  # the route's scope within the principal's, else 403
)


@web.middleware
async def chain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, run its checks and its handler; the only place where an exception becomes a response."""
    name_request(request)  # request id, log context; adds TRACE
    if request.version >= HttpVersion11 and "Host" not in request.headers:
        return web.Response(status=400)  # RFC 9112 §3.2
    try:
        for check in _checks_of(request):
            if (waiting := check(request)) is not None:
                await waiting
        return await handler(request)
    except (Exception, asyncio.CancelledError) as error:
        response = response_to(request, error)
        if response is None:
            raise
        return response


def _checks_of(request: web.Request) -> tuple[Check, ...]:
    """All of them. Public routes need none; unknown paths only need to be attributed."""
    route = request.app[ROUTES].get(request.match_info.handler)
    if route is None:
        return (identify_client,)
    if "%" in request.raw_path and not is_exact(request.raw_path):
        return (identify_client, _not_found)
    return CHECKS if route.scope is not None else ()


def _not_found(_: web.Request) -> None:
    raise web.HTTPNotFound


CHAIN = (chain,)
