"""`/v1/responses/{id}` and below: what was kept of a response, and its end."""

import re
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps, loads
from gateway.http.answers.background import BACKGROUND
from gateway.http.answers.background_events import cancelled, current, replay
from gateway.http.answers.stored_responses import find
from gateway.http.errors import JSON
from gateway.http.keys import SERVICES

_COUNT = re.compile(r"[0-9]{1,9}")
_PAGE = 20  # items, as OpenAI lists them
_MAX_PAGE = 100
_CANCEL_TIMEOUT = 10.0  # seconds for a worker to stop, wherever it is


async def get_response(request: web.Request) -> web.StreamResponse:
    """The response as it stands; with `stream=true` its events, after `starting_after` and as they come."""
    stored = await find(request)
    if request.query.get("stream", "").lower() in ("true", "1"):
        if not loads(stored.body)["background"]:
            raise BadRequest("`stream`: only responses in the background can be streamed again.", param="stream")
        return await replay(request, stored, _number(request.query.get("starting_after")))
    stored = await current(request.app[SERVICES].stores, stored)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def cancel_response(request: web.Request) -> web.StreamResponse:
    """Stop a run in the background, wherever it runs; one that has ended stays as it is."""
    stored, stores = await find(request), request.app[SERVICES].stores
    if not loads(stored.body)["background"]:
        raise BadRequest("Only a response in the background can be cancelled; leave the connection of this one.")
    request.app[BACKGROUND].cancel(stored.id)
    stored = await cancelled(stores, stored, _CANCEL_TIMEOUT)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def delete_response(request: web.Request) -> web.StreamResponse:
    """Forget it. Responses that continue it can't be continued any more."""
    stored, stores = await find(request), request.app[SERVICES].stores
    if loads(stored.body)["background"]:
        request.app[BACKGROUND].cancel(stored.id)
        await cancelled(stores, stored, _CANCEL_TIMEOUT)
    await stores.responses.delete(stored.subject, stored.id)
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


def _number(after: str | None) -> int:
    """The number of the first event that is asked for."""
    if after is None:
        return 0
    if not _COUNT.fullmatch(after):
        raise BadRequest("`starting_after`: must be the `sequence_number` of an event.", param="starting_after")
    return int(after) + 1


def _limit(said: str | None) -> int:
    if said is None:
        return _PAGE
    if not _COUNT.fullmatch(said) or not 1 <= int(said) <= _MAX_PAGE:
        raise BadRequest(f"`limit`: must be between 1 and {_MAX_PAGE}.", param="limit")
    return int(said)


def _json(payload: dict[str, Any]) -> web.Response:
    return web.Response(body=dumps(payload), headers={"Content-Type": JSON})
