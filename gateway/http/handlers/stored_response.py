"""`/v1/responses/{id}` and below: what was kept of a response, and its end."""

from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps, loads
from gateway.http.keys import RUNTIME
from gateway.http.middleware.errors import JSON
from gateway.http.stored_responses import find

_PAGE = 20  # items, as OpenAI lists them
_LONGEST_PAGE = 100


async def get_response(request: web.Request) -> web.StreamResponse:
    """The response object as it was told last."""
    stored = await find(request)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def delete_response(request: web.Request) -> web.StreamResponse:
    """Forget it. Responses that continue it can't be continued any more."""
    stored = await find(request)
    await request.app[RUNTIME].stores.responses.delete(stored.subject, stored.id)
    return _json({"id": stored.id, "object": "response", "deleted": True})


async def list_input_items(request: web.Request) -> web.StreamResponse:
    """What the response was asked with, a page at a time: `limit`, `order` (newest first unless `asc`), `after`."""
    stored = await find(request)
    query = request.query
    items: list[dict[str, Any]] = loads(stored.input)
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("`order`: must be asc or desc.", param="order")
    if order == "desc":
        items.reverse()
    if after := query.get("after"):
        places = [index for index, item in enumerate(items) if item["id"] == after]
        if not places:
            raise BadRequest(f"`after`: there is no item '{after[:80]}'.", param="after")
        items = items[places[0] + 1 :]
    page = items[: _limit(query.get("limit"))]
    return _json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > len(page),
        }
    )


def _limit(said: str | None) -> int:
    if said is None:
        return _PAGE
    if not (said.isascii() and said.isdigit()) or not 1 <= int(said[:9]) <= _LONGEST_PAGE:
        raise BadRequest(f"`limit`: must be between 1 and {_LONGEST_PAGE}.", param="limit")
    return int(said)


def _json(payload: dict[str, Any]) -> web.Response:
    return web.Response(body=dumps(payload), headers={"Content-Type": JSON})
