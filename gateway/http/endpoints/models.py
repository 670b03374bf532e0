"""`GET /v1/models` and `/v1/models/{id}`: agents, never provider models. The same bytes for everybody, made once."""

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import SNAPSHOT


async def list_models(request: web.Request) -> web.StreamResponse:
    """All agent targets."""
    return web.Response(body=dumps(request[SNAPSHOT].directory.models()), headers={"Content-Type": JSON})


async def get_model(request: web.Request) -> web.StreamResponse:
    """One of them; `%2F` and a plain slash are the same."""
    found = request[SNAPSHOT].directory.model(request.match_info["id"])
    return web.Response(body=dumps(found), headers={"Content-Type": JSON})
