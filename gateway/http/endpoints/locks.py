"""`/api/v1/locks`: clients that are locked out after too many wrong secrets, for operators."""

from math import ceil

from aiohttp import web

from gateway.access.address import client_key, parse_address
from gateway.core.errors import BadRequest, MissingScope, NotFound
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import DEGRADED, LOCKOUT, PRINCIPAL


async def list_locks(request: web.Request) -> web.StreamResponse:
    """The locked clients, the one whose lock ends first at the front; `key` is an address, or an IPv6 network.

    Raises MissingScope for callers who administer nothing but their own.
    """
    _require_administrator(request)
    locked = request.app[LOCKOUT].locked()
    locks = [{"object": "lock", "key": key, "seconds": ceil(left)} for key, left in locked]
    return _json({"object": "list", "data": locks})


async def release_lock(request: web.Request) -> web.StreamResponse:
    """Unlock `?key=`, an address or a key of the list, at every instance, and forget its failures.

    While Redis is away only the instances of this machine can know of it; `pending` says that the others follow when
    Redis is back, and `released` whether this instance had anything to release.

    Raises MissingScope like `list_locks`, BadRequest and NotFound.
    """
    _require_administrator(request)
    key = request.query.get("key")
    if not key:
        raise BadRequest("`key`: missing; name an address or a key that GET /api/v1/locks lists.", param="key")
    address = parse_address(key)
    key = key if address is None else client_key(address)
    released = await request.app[LOCKOUT].unlock(key)
    redis_is_away = request.app[DEGRADED].get("redis", bool)()
    if not released and not redis_is_away:
        raise NotFound(
            "Nothing is held against this key; GET /api/v1/locks lists those that are locked.", code="lock_not_found"
        )
    return _json({"object": "lock.released", "key": key, "released": released, "pending": redis_is_away})


def _require_administrator(request: web.Request) -> None:
    if not request[PRINCIPAL].administers:
        raise MissingScope(Scope.ADMIN)


def _json(body: object) -> web.Response:
    return web.Response(body=dumps(body), headers={"Content-Type": JSON, "Cache-Control": "no-store"})
