"""`GET /openapi.json`: the routes, for programs. The document is built at start."""

from aiohttp import web

from gateway.http.errors import JSON

DOCUMENT = web.AppKey("openapi", bytes)


async def openapi(request: web.Request) -> web.StreamResponse:
    """The OpenAPI document of all routes."""
    return web.Response(body=request.app[DOCUMENT], headers={"Content-Type": JSON})
