"""`GET /v1/models` and `/v1/models/{id}`: agents, never provider models. Anthropic's clients get Anthropic's form."""

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SNAPSHOT

_ANTHROPIC = "anthropic-version"


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the agents."""
    directory, principal = request[SNAPSHOT].directory, request[PRINCIPAL]
    anthropic = _ANTHROPIC in request.headers
    models = directory.anthropic_models(principal) if anthropic else directory.models(principal)
    return web.Response(body=dumps(models), headers={"Content-Type": JSON})


async def get_model(request: web.Request) -> web.StreamResponse:
    """Describe one agent; `%2F` and a plain slash in the id are equivalent."""
    directory, principal, model_id = request[SNAPSHOT].directory, request[PRINCIPAL], request.match_info["id"]
    anthropic = _ANTHROPIC in request.headers
    model = directory.anthropic_model(model_id, principal) if anthropic else directory.model(model_id, principal)
    return web.Response(body=dumps(model), headers={"Content-Type": JSON})
