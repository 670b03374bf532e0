"""Responses that were kept: found for their owner, continued, and referred to. How they are kept: `kept_run`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest, NotFound
from gateway.core.jsonio import loads
from gateway.core.message import Message
from gateway.core.session_key import HEADER
from gateway.http.keys import PRINCIPAL, SERVICES
from gateway.http.routes import RESPONSES_BODY
from gateway.state.responses.store import ResponseStore, StoredResponse
from gateway.wire.openai_responses.item_id import place_of

_LONGEST = 1000  # responses that one conversation may span
UNFINISHED = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a response is: the verified identity (None for the owner of the gateway), and the explicit session."""

    subject: str | None
    session: str | None


def owner_of(request: web.Request) -> Owner:
    """Who asks."""
    return Owner(request[PRINCIPAL].name, (request.headers.get(HEADER) or "").strip().lower() or None)


async def find(request: web.Request) -> StoredResponse:
    """The response that the path names. Raises NotFound, also for somebody else's."""
    owner, response_id = owner_of(request), request.match_info["id"]
    stored = await _get(request.app[SERVICES].stores.responses, owner, response_id)
    if stored is None or owner.session not in (None, stored.session):
        raise NotFound(
            f"Response with id '{response_id[:80]}' not found.", param="response_id", code="response_not_found"
        )
    return stored


async def history(store: ResponseStore, owner: Owner, agent: str, response_id: str) -> tuple[Message, ...]:
    """The conversation up to and with this response. Raises NotFound for any part of it that isn't there.

    Raises BadRequest for one that no request could hold.

    OpenClaw begins anew in silence; a model that has forgotten half of a conversation misleads.
    """
    turns: list[tuple[Message, ...]] = []
    following: str | None = response_id
    size = 0
    while following is not None:
        stored = await _get(store, owner, following)
        if stored is None or (stored.agent, stored.session) != (agent, owner.session) or len(turns) == _LONGEST:
            raise _not_found(response_id, following)
        if not turns and loads(stored.body)["status"] in UNFINISHED:
            raise BadRequest(
                f"Response '{response_id}' is still in progress; it can be continued when it is complete.",
                param="previous_response_id",
                code="previous_response_in_progress",
            )
        if (size := size + stored.size) > RESPONSES_BODY:
            raise BadRequest(
                f"The conversation up to response '{response_id}' has more than {RESPONSES_BODY} bytes. Begin a new "
                "one with what of it is still needed.",
                param="previous_response_id",
                code="context_length_exceeded",
            )
        turns.append(stored.messages)
        following = stored.previous
    return tuple(message for turn in reversed(turns) for message in turn)


async def referred_items(store: ResponseStore, owner: Owner, references: Mapping[str, str]) -> dict[str, Any]:
    """The items that a request refers to by id; `references` are ids with their paths. Raises NotFound."""
    items: dict[str, Any] = {}
    responses: dict[str, StoredResponse | None] = {}
    for name, path in references.items():
        place = place_of(name)
        if place is not None and place.response not in responses:
            responses[place.response] = await store.get(owner.subject, place.response)
        stored = responses.get(place.response) if place else None
        listed = () if stored is None or place is None else _listed(stored, place.side)
        if place is None or place.index >= len(listed):
            raise NotFound(f"`{path}`: item with id '{name[:80]}' not found.", param=path, code="item_not_found")
        items[name] = listed[place.index]
    return items


async def _get(store: ResponseStore, owner: Owner, response_id: str) -> StoredResponse | None:
    """What a caller names; a name that no response can have is not looked for."""
    return await store.get(owner.subject, response_id) if response_id.isascii() else None


def _listed(stored: StoredResponse, side: str) -> list[Any]:
    listed: list[Any] = loads(stored.input) if side == "input" else loads(stored.body)["output"]
    return listed


def _not_found(response_id: str, missing: str) -> NotFound:
    said = f"Previous response with id '{response_id[:80]}' not found."
    if missing != response_id:
        said = f"Response '{response_id}' continues '{missing[:80]}', which is not kept any more."
    return NotFound(said, param="previous_response_id", code="previous_response_not_found")
