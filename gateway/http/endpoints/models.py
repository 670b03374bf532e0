"""`GET /v1/models` and `/v1/models/{id}`: agents, never provider models."""

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SNAPSHOT


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the agents."""
    return web.Response(
        body=dumps(request[SNAPSHOT].directory.models(request[PRINCIPAL])), headers={"Content-Type": JSON}
    )


async def get_model(request: web.Request) -> web.StreamResponse:
    """Describe one agent; `%2F` and a plain slash in the id are equivalent."""
    model = request[SNAPSHOT].directory.model(request.match_info["id"], request[PRINCIPAL])
    return web.Response(body=dumps(model), headers={"Content-Type": JSON})
