"""Looks up stored responses: by their owner, as a conversation, and by item id. `response_recorder` stores them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest, NotFound
from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message
from gateway.core.session_key import HEADER
from gateway.http.keys import PRINCIPAL, SERVICES
from gateway.http.media_requester import requester_of
from gateway.http.routes import RESPONSES_BODY
from gateway.state.responses.store import Hold, ResponseStore, StoredResponse
from gateway.wire.openai_responses.item_id import position_of

_MAX_RESPONSES = 1000  # per conversation
_LARGE = 2**18  # bytes; decoding a longer document may take milliseconds
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
    """The response that the path names. Raises NotFound, also for another owner's, Damaged, and Overloaded for a large
    one while the process holds too much.
    """
    owner, response_id = owner_of(request), request.match_info["id"]
    stored = await _get(request.app[SERVICES].stores.responses, owner, response_id, requester_of(request).hold)
    if stored is None or owner.session not in (None, stored.session):
        raise NotFound(
            f"Response with id '{response_id[:80]}' not found.", param="response_id", code="response_not_found"
        )
    return stored


async def history(
    store: ResponseStore, owner: Owner, agent: str, response_id: str, hold: Hold | None = None
) -> tuple[Message, ...]:
    """The conversation up to and including this response. `hold`: see ResponseStore.

    Raises NotFound if any part of it is missing: OpenClaw starts a new conversation silently, but a model that lacks
    half of the conversation misleads. Raises BadRequest if it is unfinished or too large for a request.
    """
    turns: list[tuple[Message, ...]] = []
    following: str | None = response_id
    size = 0
    while following is not None:
        stored = await _get(store, owner, following, hold)
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


async def referred_items(
    store: ResponseStore, owner: Owner, references: Sequence[tuple[str, str]], hold: Hold | None = None
) -> dict[str, Any]:
    """The items that a request refers to by id; `references` are ids with their paths, as often as they occur. `hold`:
    see ResponseStore.

    Raises NotFound, or BadRequest if the items together are larger than a request may be.
    """
    items: dict[str, Any] = {}
    occurrences = Counter(name for name, _ in references)
    size = 0
    for (response, side), names in _by_side(references).items():
        stored = await _get(store, owner, response, hold)
        side_items = [] if stored is None else await _items_of(stored, side)
        for name, (path, index) in names.items():
            if index >= len(side_items):
                raise _no_item(name, path)
            items[name] = side_items[index]
            size += occurrences[name] * len(dumps(side_items[index]))
            if size > RESPONSES_BODY:
                raise BadRequest(
                    f"`input`: the items that it refers to have more than {RESPONSES_BODY} bytes. Refer to fewer.",
                    param="input",
                    code="context_length_exceeded",
                )
    return items


def _by_side(references: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, tuple[str, int]]]:
    """(response, side) → id → (path, index). So each document is decoded once, and only one at a time."""
    sides: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
    for name, path in references:
        position = position_of(name)
        if position is None:
            raise _no_item(name, path)
        sides.setdefault((position.response, position.side), {}).setdefault(name, (path, position.index))
    return sides


def _no_item(name: str, path: str) -> NotFound:
    return NotFound(f"`{path}`: item with id '{name[:80]}' not found.", param=path, code="item_not_found")


async def _get(store: ResponseStore, owner: Owner, response_id: str, hold: Hold | None) -> StoredResponse | None:
    """The stored response, None for an id that no response can have."""
    return await store.get(owner.subject, response_id, hold) if response_id.isascii() else None


async def _items_of(stored: StoredResponse, side: str) -> list[Any]:
    return await input_items_of(stored) if side == "input" else (await _parsed(stored.body))["output"]


async def input_items_of(stored: StoredResponse) -> list[dict[str, Any]]:
    """The decoded items of its input."""
    items: list[dict[str, Any]] = await _parsed(stored.input)
    return items


async def _parsed(document: bytes) -> Any:
    return await asyncio.to_thread(loads, document) if len(document) > _LARGE else loads(document)


def _not_found(response_id: str, missing: str) -> NotFound:
    text = f"Previous response with id '{response_id[:80]}' not found."
    if missing != response_id:
        text = f"Response '{response_id}' continues '{missing[:80]}', which is not stored any more."
    return NotFound(text, param="previous_response_id", code="previous_response_not_found")
