"""Who is at the other end: the client address, or a refusal; and what needs none (unknown paths after it)."""

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway.http.keys import CLIENT, RESOLVER, ROUTES
from gateway.http.routes import is_exact


@web.middleware
async def identify_client(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add CLIENT. Attribution comes before routing, in every auth mode and for every path but the probes (recorded)."""
    headers = request.headers
    if request.version >= HttpVersion11 and "Host" not in headers:
        return web.Response(status=400)  # RFC 9112 §3.2
    match = request.match_info
    route = request.app[ROUTES].get(match.handler) if match.http_exception is None else None
    if route is not None and route.scope is None:
        return await handler(request)
    request[CLIENT] = request.app[RESOLVER].resolve(request.remote, headers)
    if match.http_exception is not None:
        raise match.http_exception
    if "%" in request.raw_path and not is_exact(request.raw_path):
        raise web.HTTPNotFound
    return await handler(request)
