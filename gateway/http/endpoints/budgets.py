"""`/api/v1/budgets`: what is used of budgets, for operators. Only an administrator sees those of other callers."""

import time
from typing import Any, Final

from aiohttp import web

from gateway.core.client_key import format_time
from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps
from gateway.core.price import NANODOLLARS
from gateway.http.budget_alerts import BUDGET_ALERTS
from gateway.http.budget_report import Budget, known_budgets, usages
from gateway.http.errors import JSON
from gateway.http.keys import CLIENT, PRINCIPAL, SERVICES, SNAPSHOT
from gateway.http.quota import identity
from gateway.http.whole_response import WholeResponse
from openclaw_ratelimit import QuotaUsage

FILTERS: Final = ("name", "identity", "agent", "model")
MAX_BUDGETS: Final = 1000
_DEFAULT_LIMIT = 100


async def list_budgets(request: web.Request) -> web.StreamResponse:
    """The budgets, those first of which most is used: amount, used, reserved, and the end of the window.

    The counts are those of all instances; `reserved` is what running requests of this instance hold, part of `used`.
    Without a filter only budgets are listed of which something is used.
    """
    limit = _limit(request)
    wanted = {name: request.query[name] for name in FILTERS if name in request.query}
    snapshot, principal = request[SNAPSHOT], request[PRINCIPAL]
    budgets = known_budgets(snapshot, request.app[SERVICES].keys, request.app[BUDGET_ALERTS].seen, wanted)
    if not principal.administers:
        own = identity(principal, request[CLIENT])
        budgets = [budget for budget in budgets if budget.attributes.get("identity") == own]
    used = [] if snapshot.quota is None else await usages(snapshot.quota, budgets)
    now = time.time()
    rows = [
        _described(budget, usage, now)
        for budget, usage in zip(budgets, used, strict=True)
        if usage.used or wanted or not budget.values
    ]
    rows.sort(key=lambda row: (-row["percent"], row["name"], *(row.get(name, "") for name in FILTERS)))
    body = {"object": "list", "data": rows[:limit], "total": len(rows), "has_more": len(rows) > limit}
    return WholeResponse(dumps(body), {"Content-Type": JSON, "Cache-Control": "no-store"})


def _described(budget: Budget, usage: QuotaUsage, now: float) -> dict[str, Any]:
    money = budget.policy.counts == "cost"

    def shown(amount: int) -> int | float:
        return amount / NANODOLLARS if money else amount

    return {
        "object": "budget",
        "name": budget.policy.name,
        **budget.attributes,
        "hard": budget.hard,
        "unit": "usd" if money else "tokens",
        "amount": shown(budget.amount),
        "used": shown(usage.used),
        "reserved": shown(usage.reserved),
        "remaining": shown(max(0, budget.amount - usage.used)),
        "percent": usage.used * 100 // budget.amount,
        "window_seconds": budget.policy.window,
        "window_ends_at": format_time(now + usage.left) if usage.used else None,
        "free_at": format_time(now + usage.reset) if usage.used else None,
    }


def _limit(request: web.Request) -> int:
    value = request.query.get("limit", str(_DEFAULT_LIMIT))
    if not (value.isascii() and value.isdecimal() and len(value) <= len(str(MAX_BUDGETS))):
        value = "0"
    if not 1 <= int(value) <= MAX_BUDGETS:
        raise BadRequest(f"`limit`: must be a whole number from 1 to {MAX_BUDGETS}.", param="limit")
    return int(value)
