"""Looks up stored responses: by their owner, as a conversation, and by item id. `response_recorder` stores them."""

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
from gateway.wire.openai_responses.item_id import position_of

_MAX_RESPONSES = 1000  # per conversation
UNFINISHED = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a response: the verified identity (None for the gateway's owner) and the explicit session."""

    subject: str | None
    session: str | None


def owner_of(request: web.Request) -> Owner:
    """The owner of responses that this request creates or may read."""
    return Owner(request[PRINCIPAL].name, (request.headers.get(HEADER) or "").strip().lower() or None)


async def find(request: web.Request) -> StoredResponse:
    """The response that the path names. Raises NotFound, also for another owner's."""
    owner, response_id = owner_of(request), request.match_info["id"]
    stored = await _get(request.app[SERVICES].stores.responses, owner, response_id)
    if stored is None or owner.session not in (None, stored.session):
        raise NotFound(
            f"Response with id '{response_id[:80]}' not found.", param="response_id", code="response_not_found"
        )
    return stored


async def history(store: ResponseStore, owner: Owner, agent: str, response_id: str) -> tuple[Message, ...]:
    """The conversation up to and including this response.

    Raises NotFound if any part of it is missing: OpenClaw starts a new conversation silently, but a model that lacks
    half of the conversation misleads. Raises BadRequest if it is unfinished or too large for a request.
    """
    turns: list[tuple[Message, ...]] = []
    following: str | None = response_id
    size = 0
    while following is not None:
        stored = await _get(store, owner, following)
        if stored is None or (stored.agent, stored.session) != (agent, owner.session) or len(turns) == _MAX_RESPONSES:
            raise _not_found(response_id, following)
        if not turns and loads(stored.body)["status"] in UNFINISHED:
            raise BadRequest(
                f"Response '{response_id}' is still in progress; it can be continued when it is complete.",
                param="previous_response_id",
                code="previous_response_in_progress",
            )
        if (size := size + stored.size) > RESPONSES_BODY:
            raise BadRequest(
                f"The conversation up to response '{response_id}' has more than {RESPONSES_BODY} bytes. Start a "
                "new one with the parts that you still need.",
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
        position = position_of(name)
        if position is not None and position.response not in responses:
            responses[position.response] = await store.get(owner.subject, position.response)
        stored = responses.get(position.response) if position else None
        side_items = () if stored is None or position is None else _items_of(stored, position.side)
        if position is None or position.index >= len(side_items):
            raise NotFound(f"`{path}`: item with id '{name[:80]}' not found.", param=path, code="item_not_found")
        items[name] = side_items[position.index]
    return items


async def _get(store: ResponseStore, owner: Owner, response_id: str) -> StoredResponse | None:
    """The stored response, None for an id that no response can have."""
    return await store.get(owner.subject, response_id) if response_id.isascii() else None


def _items_of(stored: StoredResponse, side: str) -> list[Any]:
    items: list[Any] = loads(stored.input) if side == "input" else loads(stored.body)["output"]
    return items


def _not_found(response_id: str, missing: str) -> NotFound:
    text = f"Previous response with id '{response_id[:80]}' not found."
    if missing != response_id:
        text = f"Response '{response_id}' continues '{missing[:80]}', which is not stored any more."
    return NotFound(text, param="previous_response_id", code="previous_response_not_found")
