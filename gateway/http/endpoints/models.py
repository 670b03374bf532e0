"""`GET /v1/models` and `/v1/models/{id}`: agents, never provider models. Anthropic's clients get Anthropic's form."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SNAPSHOT

ANTHROPIC_VERSION = "anthropic-version"
"""The header of Anthropic's clients, which get Anthropic's form."""
MAX_LIMIT = 1000  # models per page, as at Anthropic
LIFECYCLES = ("active", "deprecated", "retired")


async def list_models(request: web.Request) -> web.StreamResponse:
    """List the agents; for Anthropic's clients in pages. Raises BadRequest for a parameter that no page can have."""
    directory, principal = request[SNAPSHOT].directory, request[PRINCIPAL]
    limit, lifecycles = _limit(request.query.get("limit")), _lifecycles(request)
    if ANTHROPIC_VERSION in request.headers:
        models = _page(request, directory.anthropic_models(principal), limit, lifecycles)
    else:
        models = directory.models(principal)
    return web.Response(body=dumps(models), headers={"Content-Type": JSON})


async def get_model(request: web.Request) -> web.StreamResponse:
    """Describe one agent; `%2F` and a plain slash in the id are equivalent."""
    directory, principal, model_id = request[SNAPSHOT].directory, request[PRINCIPAL], request.match_info["id"]
    anthropic = ANTHROPIC_VERSION in request.headers
    model = directory.anthropic_model(model_id, principal) if anthropic else directory.model(model_id, principal)
    return web.Response(body=dumps(model), headers={"Content-Type": JSON})


def _page(
    request: web.Request, models: Sequence[dict[str, Any]], limit: int, lifecycles: Sequence[str]
) -> dict[str, Any]:
    """One page of Anthropic's form, of the models in these stages (in all without any). Raises BadRequest."""
    query = request.query
    after, before = query.get("after_id"), query.get("before_id")
    if after is not None and before is not None:
        raise BadRequest("`after_id` and `before_id` exclude each other.", param="before_id")
    if before is not None:
        models = models[: _position("before_id", before, models)]
    elif after is not None:
        models = models[_position("after_id", after, models) + 1 :]
    if lifecycles:
        models = [model for model in models if model["lifecycle"] in lifecycles]
    page = models[:limit] if before is None else models[-limit:]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"data": page, "has_more": len(page) < len(models), "first_id": first, "last_id": last}


def _lifecycles(request: web.Request) -> list[str]:
    wanted = [*request.query.getall("lifecycle", ()), *request.query.getall("lifecycle[]", ())]
    if unknown := [name for name in wanted if name not in LIFECYCLES]:
        raise BadRequest(f"`lifecycle`: '{unknown[0][:80]}' is none of {', '.join(LIFECYCLES)}.", param="lifecycle")
    return wanted


def _limit(value: str | None) -> int:
    """Without `limit` a page has up to MAX_LIMIT models, for clients that read one page."""
    if value is None:
        return MAX_LIMIT
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(MAX_LIMIT)) and 1 <= int(value) <= MAX_LIMIT):
        raise BadRequest(f"`limit`: must be a whole number between 1 and {MAX_LIMIT}.", param="limit")
    return int(value)


def _position(name: str, model_id: str, models: Sequence[dict[str, Any]]) -> int:
    for index, model in enumerate(models):
        if model["id"] == model_id:
            return index
    raise BadRequest(f"`{name}`: the list has no model '{model_id[:80]}'. Start again without it.", param=name)
