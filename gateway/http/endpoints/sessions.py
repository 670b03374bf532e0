"""`/api/v1/sessions`: stored conversations, for operators. Only an administrator
sees those of others.
"""

import math
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.core.errors import BadRequest, NotFound
from gateway.core.jsonio import dumps
from gateway.core.session_key import SessionKey, parse_session_key
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SERVICES
from gateway.state.sessions.store import Cursor, SessionFacts, SessionStore

_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000  # conversations per page
_MAX_TIME = 1e11  # Unix seconds


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """List conversations, most recently used first; an admin sees all of them. `after` is the `next` of a page."""
    principal = request[PRINCIPAL]
    everybody = principal.administers
    page = await _store(request).list_sessions(
        principal.name, everybody=everybody, limit=_limit(request), after=_after(request)
    )
    following = None if page.next is None else f"{page.next.used!r}:{page.next.key}"
    return _json(dumps({"object": "list", "data": [_facts(fields) for fields in page.sessions], "next": following}))


async def get_session(request: web.Request) -> web.StreamResponse:
    """The conversation and its transcript."""
    fields, entries = await _read(request)
    transcript = b",".join(entries)
    body = dumps(_facts(fields))[:-1] + b',"transcript":[' + transcript + b"]}"
    return _json(body)


async def export_session(request: web.Request) -> web.StreamResponse:
    """The transcript as JSON lines, one entry per line."""
    _, entries = await _read(request)
    lines = b"".join(entry + b"\n" for entry in entries)
    return web.Response(body=lines, headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})


async def delete_session(request: web.Request) -> web.StreamResponse:
    """Delete the conversation. A turn that is still running is not stored."""
    key = _key(request)
    if not await _store(request).delete(key):
        raise _not_found()
    return _json(dumps({"object": "session.deleted", "key": str(key), "deleted": True}))


def _store(request: web.Request) -> SessionStore:
    return request.app[SERVICES].stores.sessions


async def _read(request: web.Request) -> tuple[SessionFacts, tuple[bytes, ...]]:
    session = await _store(request).read(_key(request))
    if session is None:
        raise _not_found()
    return session


def _key(request: web.Request) -> SessionKey:
    """The key in the path. A key without a user is the caller's own. Raises NotFound, also for another user's key."""
    principal = request[PRINCIPAL]
    key = parse_session_key(request.match_info["key"])
    if key is None:
        raise _not_found()
    key = replace(key, name=key.name.lower())
    if key.owner is None and principal.name is not None and not principal.administers:
        return SessionKey(principal.name, key.agent, key.name)
    if key.owner != principal.name and not principal.administers:
        raise _not_found()
    return key


def _limit(request: web.Request) -> int:
    value = request.query.get("limit", str(_DEFAULT_LIMIT))
    if (
        not value.isascii()
        or not value.isdecimal()
        or len(value) > len(str(_MAX_LIMIT))
        or not 1 <= int(value) <= _MAX_LIMIT
    ):
        raise BadRequest(f"`limit`: must be a whole number from 1 to {_MAX_LIMIT}.", param="limit")
    return int(value)


def _after(request: web.Request) -> Cursor | None:
    value = request.query.get("after")
    if value is None:
        return None
    used, _, key = value.partition(":")
    try:
        cursor = Cursor(float(used), key)
    except ValueError:
        cursor = Cursor(math.nan, key)
    if not 0 <= cursor.used < _MAX_TIME or parse_session_key(key) is None:
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
    return NotFound(
        "You have no conversation with this key; list yours with GET /api/v1/sessions.", code="session_not_found"
    )
