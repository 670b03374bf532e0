"""`/api/v1/sessions`: stored conversations, for operators. Who is no admin finds the caller's own and no others."""

import math
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest, NotFound
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.core.session_key import SessionKey, parse_session_key
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, RUNTIME
from gateway.state.sessions.store import Cursor, SessionFacts, SessionStore

_USUAL, _MOST = 100, 1000  # conversations in a list
_END = 1e11  # Unix time


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """`?limit=1…1000` conversations, used last first; an admin sees all. `?after=` the `next` of a page goes on."""
    principal = request[PRINCIPAL]
    everybody = principal.allows(Scope.ADMIN)
    found = await _store(request).list_sessions(
        principal.name, everybody=everybody, limit=_limit(request), after=_after(request)
    )
    following = None if found.next is None else f"{found.next.used!r}:{found.next.key}"
    return _json(dumps({"object": "list", "data": [_facts(fields) for fields in found.sessions], "next": following}))


async def get_session(request: web.Request) -> web.StreamResponse:
    """The conversation and its transcript."""
    fields, entries = await _read(request)
    transcript = b",".join(entries)
    body = dumps(_facts(fields))[:-1] + b',"transcript":[' + transcript + b"]}"
    return _json(body)


async def export_session(request: web.Request) -> web.StreamResponse:
    """The transcript as JSON lines, one entry each."""
    _, entries = await _read(request)
    lines = b"".join(entry + b"\n" for entry in entries)
    return web.Response(body=lines, headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})


async def delete_session(request: web.Request) -> web.StreamResponse:
    """Forget the conversation; a turn that is being answered will not be kept."""
    key = _key(request)
    if not await _store(request).delete(key):
        raise _not_found()
    return _json(dumps({"object": "session.deleted", "key": str(key), "deleted": True}))


def _store(request: web.Request) -> SessionStore:
    return request.app[RUNTIME].stores.sessions


async def _read(request: web.Request) -> tuple[SessionFacts, tuple[bytes, ...]]:
    found = await _store(request).read(_key(request))
    if found is None:
        raise _not_found()
    return found


def _key(request: web.Request) -> SessionKey:
    """The key in the path; without a user in it, it is the caller's own. Raises NotFound, also for somebody else's."""
    principal = request[PRINCIPAL]
    key = parse_session_key(request.match_info["key"])
    if key is None:
        raise _not_found()
    key = replace(key, name=key.name.lower())
    if key.owner is None and principal.name is not None and not principal.allows(Scope.ADMIN):
        return SessionKey(principal.name, key.agent, key.name)
    if key.owner != principal.name and not principal.allows(Scope.ADMIN):
        raise _not_found()
    return key


def _limit(request: web.Request) -> int:
    said = request.query.get("limit", str(_USUAL))
    if not said.isascii() or not said.isdecimal() or len(said) > len(str(_MOST)) or not 1 <= int(said) <= _MOST:
        raise BadRequest(f"`limit`: must be a whole number from 1 to {_MOST}.", param="limit")
    return int(said)


def _after(request: web.Request) -> Cursor | None:
    said = request.query.get("after")
    if said is None:
        return None
    used, _, key = said.partition(":")
    try:
        cursor = Cursor(float(used), key)
    except ValueError:
        cursor = Cursor(math.nan, key)
    if not 0 <= cursor.used < _END or parse_session_key(key) is None:
        raise BadRequest("`after`: must be the `next` of a page of this list.", param="after")
    return cursor


def _facts(fields: SessionFacts) -> dict[str, Any]:
    return {
        "object": "session",
        "key": str(fields.key),
        "agent": fields.key.agent,
        "user": fields.key.owner,
        "created_at": fields.created,
        "updated_at": fields.updated,
        "bytes": fields.bytes,
        "entries": fields.entries,
    }


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": JSON, "Cache-Control": "no-store"})


def _not_found() -> NotFound:
    return NotFound("No conversation of yours has this key; GET /api/v1/sessions lists them.", code="session_not_found")
