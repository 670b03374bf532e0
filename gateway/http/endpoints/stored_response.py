"""`/v1/responses/{id}` and below: fetch, cancel and delete stored responses."""

import re
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps, loads
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.background import BACKGROUND
from gateway.http.answers.background_events import cancelled, current, replay
from gateway.http.answers.stored_responses import find, input_items_of, owner_of
from gateway.http.errors import JSON
from gateway.http.keys import SERVICES
from gateway.state.responses.store import Damaged

_COUNT = re.compile(r"[0-9]{1,9}")
_PAGE = 20  # input items per page, OpenAI's default
_MAX_PAGE = 100
_CANCEL_TIMEOUT = 10.0  # seconds for a worker to stop, on any instance


async def get_response(request: web.Request) -> web.StreamResponse:
    """The current response; with `stream=true` its events after `starting_after`, until its end."""
    stored = await find(request)
    first = _number(request.query.get("starting_after"))
    if _truth("stream", request.query.get("stream", "false")) and request.method != "HEAD":
        if not loads(stored.body)["background"]:
            raise BadRequest("`stream`: only background responses can be streamed again.", param="stream")
        return await replay(request, stored, first)
    stored = await current(request.app[SERVICES].stores, stored)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def cancel_response(request: web.Request) -> web.StreamResponse:
    """Cancel a background run, on any instance. A run that has ended is not changed."""
    stored, stores = await find(request), request.app[SERVICES].stores
    if not loads(stored.body)["background"]:
        raise BadRequest("Only a background response can be cancelled; to stop this one, close its connection.")
    request.app[BACKGROUND].cancel(stored.id)
    stored = await cancelled(stores, stored, _CANCEL_TIMEOUT)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def delete_response(request: web.Request) -> web.StreamResponse:
    """Delete the response, also a damaged one. Responses that continue it can't be continued any more."""
    stores = request.app[SERVICES].stores
    try:
        stored = await find(request)
    except Damaged as error:
        drop_tracebacks(error)
        name = request.match_info["id"]
        await stores.responses.delete(owner_of(request).subject, name)
        return _deleted(name)
    if loads(stored.body)["background"]:
        request.app[BACKGROUND].cancel(stored.id)
        await cancelled(stores, stored, _CANCEL_TIMEOUT)
    await stores.responses.delete(stored.subject, stored.id)
    return _deleted(stored.id)


def _deleted(name: str) -> web.Response:
    return _json({"id": name, "object": "response", "deleted": True})


async def list_input_items(request: web.Request) -> web.StreamResponse:
    """List the response's input items, a page at a time; newest first unless `order` is `asc`."""
    stored = await find(request)
    query = request.query
    items = await input_items_of(stored)
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("`order`: must be asc or desc.", param="order")
    if order == "desc":
        items.reverse()
    if after := query.get("after"):
        positions = [index for index, item in enumerate(items) if item["id"] == after]
        if not positions:
            raise BadRequest(f"`after`: there is no item '{after[:80]}'.", param="after")
        items = items[positions[0] + 1 :]
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
    """The number of the first event to send."""
    if after is None:
        return 0
    if not _COUNT.fullmatch(after):
        raise BadRequest("`starting_after`: must be the `sequence_number` of an event.", param="starting_after")
    return int(after) + 1


def _limit(value: str | None) -> int:
    if value is None:
        return _PAGE
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= _MAX_PAGE:
        raise BadRequest(f"`limit`: must be between 1 and {_MAX_PAGE}.", param="limit")
    return int(value)


def _json(payload: dict[str, Any]) -> web.Response:
    return web.Response(body=dumps(payload), headers={"Content-Type": JSON})


def _truth(name: str, value: str) -> bool:
    """A boolean of the query. Raises BadRequest."""
    if (lower := value.lower()) not in _TRUTHS:
        raise BadRequest(f"`{name}`: must be true or false.", param=name)
    return _TRUTHS[lower]


_TRUTHS = {"false": False, "true": True}
