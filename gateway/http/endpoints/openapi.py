"""`GET /openapi.json`: the enabled routes, for programs. The document is built with each snapshot."""

from aiohttp import web

from gateway.http.errors import JSON
from gateway.http.keys import CURRENT


async def openapi(request: web.Request) -> web.StreamResponse:
    """The OpenAPI document of all enabled routes."""
    return web.Response(body=request.app[CURRENT].document, headers={"Content-Type": JSON})
