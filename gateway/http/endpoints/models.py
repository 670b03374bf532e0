"""`GET /v1/models` and `/v1/models/{id}`: agents, never provider models. Anthropic's clients get Anthropic's form."""

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import SNAPSHOT

_ANTHROPIC = "anthropic-version"


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the agents."""
    directory = request[SNAPSHOT].directory
    models = directory.anthropic_models() if _ANTHROPIC in request.headers else directory.models()
    return web.Response(body=dumps(models), headers={"Content-Type": JSON})


async def get_model(request: web.Request) -> web.StreamResponse:
    """Describe one agent; `%2F` and a plain slash in the id are equivalent."""
    directory, model_id = request[SNAPSHOT].directory, request.match_info["id"]
    anthropic = _ANTHROPIC in request.headers
    model = directory.anthropic_model(model_id) if anthropic else directory.model(model_id)
    return web.Response(body=dumps(model), headers={"Content-Type": JSON})
