"""`/api/v1/keys`: keys of clients, for administrators. A key itself is in one response only, that of its creation."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from gateway.access.key_bounds import require_within
from gateway.access.key_registry import KeyRegistry
from gateway.config.budgets import SECONDS, BudgetWindow, nanodollars
from gateway.core.client_key import DEFAULT_SCOPES, NAME_RULE, KeyRecord, format_time, is_key_name, parse_time
from gateway.core.errors import AlreadyExists, BadRequest, MissingScope, NotFound
from gateway.core.identity import ALL_SCOPES, ClientBudget, ClientLimits, Scope
from gateway.core.jsonio import dumps
from gateway.core.price import NANODOLLARS
from gateway.http.body import read_body
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SERVICES, SNAPSHOT
from gateway.http.whole_response import WholeResponse

log = structlog.get_logger(__name__)

_MAX_BODY = 64 * 2**10
_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000  # keys per page
_MAX_AMOUNT = 2**53
_MAX_DOLLARS = 1_000_000


class KeyBudget(msgspec.Struct, forbid_unknown_fields=True):
    """How many tokens or US dollars the client may use in a sliding window: one of the two."""

    tokens: int | None = None
    usd: float | None = None
    window: BudgetWindow = "month"


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/v1/keys`; null means absent. `expires_at` is a date, a time and a zone (RFC 3339)."""

    name: str
    scopes: list[str] | None = None
    agents: list[str] | None = None
    limits: ClientLimits | None = None
    budget: KeyBudget | None = None
    expires_at: str | None = None


async def list_keys(request: web.Request) -> web.StreamResponse:
    """The keys by name, those of the configuration too. `after` is the `next` of a page.

    A stored key whose name is declared since opens the gateway as well, so it follows the declared one, on its page.
    """
    registry = _registry(request)
    declared = request[SNAPSHOT].declared_keys
    after, limit = request.query.get("after", ""), _limit(request)
    records = sorted([*declared.values(), *await registry.records()], key=lambda record: record.name)
    records = [record for record in records if record.name > after]
    page = records[:limit]
    page += [record for record in records[limit : limit + 1] if record.name == page[-1].name]
    used = await registry.last_used([record.name for record in page])
    data = [_described(record, used, declared) for record in page]
    return _json({"object": "list", "data": data, "next": page[-1].name if len(records) > len(page) else None})


async def create_key(request: web.Request) -> web.StreamResponse:
    """Create a key. The response is the only one that holds it: `key`."""
    registry = _registry(request)
    record = _record(request, await read_body(request, _MAX_BODY, request[SNAPSHOT].body_timeout))
    require_within(request[PRINCIPAL], record)
    if record.name in request[SNAPSHOT].declared_keys:
        raise AlreadyExists(
            f"gateway.keys in the configuration declares '{record.name}'. Choose another name.", code="key_exists"
        )
    key = await registry.create(record)
    log.info("Client key created", name=record.name, by=_by(request), scopes=list(record.scopes))
    return _json({**_described(record, {}, {}, created=time.time()), "key": key})


async def revoke_key(request: web.Request) -> web.StreamResponse:
    """Revoke a key at every instance.

    While Redis is away it holds at this instance only; `pending` says that the others follow when Redis is back.
    """
    name = request.match_info["name"]
    revocation = await _registry(request).revoke(name)
    if not revocation.existed:
        if name in request[SNAPSHOT].declared_keys:
            raise AlreadyExists(
                f"gateway.keys in the configuration declares '{name}'. Remove it there.", code="key_declared"
            )
        raise NotFound("There is no key with this name; GET /api/v1/keys lists them.", code="key_not_found")
    log.info("Client key revoked", name=name, by=_by(request), pending=revocation.pending)
    return _json({"object": "key.deleted", "name": name, "deleted": True, "pending": revocation.pending})


def _registry(request: web.Request) -> KeyRegistry:
    """Raises MissingScope for those who administer nothing but their own, and BadRequest where no keys are checked."""
    if not request[PRINCIPAL].administers:
        raise MissingScope(Scope.ADMIN)
    registry = request.app[SERVICES].keys
    if registry is None:
        raise BadRequest('Client keys work with `gateway.auth.mode` "token" or "password" only.', code="keys_unused")
    return registry


def _by(request: web.Request) -> str:
    return request[PRINCIPAL].name or "owner"


def _record(request: web.Request, body: bytes) -> KeyRecord:
    try:
        wanted = msgspec.json.decode(body, type=KeyRequest)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"The body is not the description of a key: {error}.") from None
    if not is_key_name(wanted.name):
        raise BadRequest(f"`name`: must be {NAME_RULE}.", param="name")
    scopes = DEFAULT_SCOPES if wanted.scopes is None else tuple(dict.fromkeys(wanted.scopes))
    for scope in scopes:
        if scope not in ALL_SCOPES:
            known = ", ".join(sorted(ALL_SCOPES))
            raise BadRequest(f"`scopes`: '{scope[:80]}' is not a scope; known are {known}.", param="scopes")
    return KeyRecord(
        wanted.name,
        "",
        scopes,
        _agents(request, wanted.agents),
        _limits(wanted.limits),
        expires=_expires(wanted),
        budget=_budget(wanted.budget),
    )


def _agents(request: web.Request, names: list[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    known = {agent.id for agent in request[SNAPSHOT].directory.agents}
    agents = tuple(dict.fromkeys(name.strip().lower() for name in names))
    for agent in agents:
        if agent not in known:
            raise BadRequest(f"`agents`: there is no agent '{agent[:80]}'.", param="agents", code="unknown_agent")
    return agents


def _limits(limits: ClientLimits | None) -> ClientLimits | None:
    if limits is None or limits == ClientLimits():
        return None
    for name, amount in msgspec.structs.asdict(limits).items():
        if amount is not None and not 0 < amount <= _MAX_AMOUNT:
            raise BadRequest(f"`limits.{name}`: must be a whole number from 1 to {_MAX_AMOUNT}.", param="limits")
    return limits


def _budget(budget: KeyBudget | None) -> ClientBudget | None:
    if budget is None:
        return None
    if (budget.tokens is None) == (budget.usd is None):
        raise BadRequest("`budget`: needs either `tokens` or `usd`.", param="budget")
    if budget.tokens is not None and not 0 < budget.tokens <= _MAX_AMOUNT:
        raise BadRequest(f"`budget.tokens`: must be a whole number from 1 to {_MAX_AMOUNT}.", param="budget")
    if budget.usd is not None and not 0 < budget.usd <= _MAX_DOLLARS:
        raise BadRequest(f"`budget.usd`: must be more than 0 and at most {_MAX_DOLLARS}.", param="budget")
    return ClientBudget(SECONDS[budget.window], budget.tokens, None if budget.usd is None else nanodollars(budget.usd))


def _expires(wanted: KeyRequest) -> float | None:
    if wanted.expires_at is None:
        return None
    try:
        expires = parse_time(wanted.expires_at)
    except ValueError as error:
        raise BadRequest(f"`expires_at`: {error}.", param="expires_at") from None
    if expires <= time.time():
        raise BadRequest("`expires_at`: lies in the past, so nobody could use the key.", param="expires_at")
    return expires


def _limit(request: web.Request) -> int:
    value = request.query.get("limit", str(_DEFAULT_LIMIT))
    if not (value.isascii() and value.isdecimal() and len(value) <= len(str(_MAX_LIMIT))):
        value = "0"
    if not 1 <= int(value) <= _MAX_LIMIT:
        raise BadRequest(f"`limit`: must be a whole number from 1 to {_MAX_LIMIT}.", param="limit")
    return int(value)


def _described(
    record: KeyRecord, used: Mapping[str, float], declared: Mapping[str, KeyRecord], *, created: float | None = None
) -> dict[str, Any]:
    created = record.created if created is None else created
    last_used = used.get(record.name)
    if last_used is not None and last_used < int(created):
        last_used = None  # that was an earlier key with this name
    return {
        "object": "key",
        "name": record.name,
        "source": "configuration" if declared.get(record.name) is record else "store",
        "scopes": record.scopes,
        "agents": record.agents,
        "limits": {} if record.limits is None else _amounts(record.limits),
        "budget": None if record.budget is None else _budget_of(record.budget),
        "created_at": format_time(created) if created else None,
        "expires_at": None if record.expires is None else format_time(record.expires),
        "expired": record.expires is not None and record.expires <= time.time(),
        "last_used_at": None if last_used is None else format_time(last_used),
    }


def _budget_of(budget: ClientBudget) -> dict[str, Any]:
    if budget.nanodollars is not None:
        return {"usd": budget.nanodollars / NANODOLLARS, "window": _window(budget)}
    return {"tokens": budget.tokens, "window": _window(budget)}


def _window(budget: ClientBudget) -> str:
    return next(name for name, width in SECONDS.items() if width == budget.window)


def _amounts(limits: ClientLimits) -> dict[str, int]:
    return {name: amount for name, amount in msgspec.structs.asdict(limits).items() if amount is not None}


def _json(body: object) -> web.StreamResponse:
    return WholeResponse(dumps(body), {"Content-Type": JSON, "Cache-Control": "no-store"})
