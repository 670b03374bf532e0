"""What every request passes before its handler, top to bottom; each link is a file, order is the documentation.

The outer links wrap the handler. The checks don't: each looks at the request, adds at most one key to it, and raises to
refuse. They are plain functions that return something to wait for only when they have to, because coroutines nested
around every request were a tenth of its cost.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.http.checks.authenticate import authenticate
from gateway.http.checks.client import identify_client
from gateway.http.checks.scopes import require_scope
from gateway.http.keys import ROUTES
from gateway.http.middleware.errors import render_errors
from gateway.http.middleware.trace import trace_request
from gateway.http.routes import is_exact

CHECKS = (
    identify_client,  # trusted proxies → CLIENT, or 403
    authenticate,  # credential → outcome → 401, 429, or PRINCIPAL and on we go
    require_scope,  # the route's scope within the principal's, else 403
)


@web.middleware
async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Run CHECKS, all of them before the handler. Public routes need none; unknown paths only need to be attributed."""
    route = request.app[ROUTES].get(request.match_info.handler)
    if route is None:
        identify_client(request)
    elif "%" in request.raw_path and not is_exact(request.raw_path):
        identify_client(request)
        raise web.HTTPNotFound
    elif route.scope is not None:
        for link in CHECKS:
            if (waiting := link(request)) is not None:
                await waiting
    return await handler(request)


CHAIN = (
    trace_request,  # request id, log context; adds TRACE
    render_errors,  # the only place where an exception becomes a response
    check,  # CHECKS, above
)
