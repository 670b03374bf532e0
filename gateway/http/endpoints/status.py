"""`GET /api/v1/status`: the state of this process and of the instances that share its Redis, for operators."""

import asyncio
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from aiohttp import web

from gateway import __version__
from gateway.core.errors import MissingScope
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.dispatch.candidates import candidates_of
from gateway.dispatch.snapshot import Snapshot
from gateway.http.endpoints.configuration import status_of
from gateway.http.endpoints.health import readiness
from gateway.http.errors import JSON
from gateway.http.keys import BACKGROUND_RUNS, CONNECTIONS, LINK, LOCKOUT, PRINCIPAL, RELOADS, SERVICES, SNAPSHOT
from gateway.ledger.ledger import Ledger

INSTANCES: web.AppKey[Callable[[], list[dict[str, Any]]]] = web.AppKey("instances")
"""The facts of every instance, this one first."""
IN_FLIGHT: web.AppKey[Callable[[], int | None]] = web.AppKey("in_flight")
"""Requests that this process answers now, None where nobody counts them."""


async def status(request: web.Request) -> web.StreamResponse:
    """The state of this process: configuration, instances, cooldowns, queues, store, ledger and locks.

    Raises MissingScope for callers who administer nothing but their own.
    """
    if not request[PRINCIPAL].administers:
        raise MissingScope(Scope.ADMIN)
    app, services, reloads = request.app, request.app[SERVICES], request.app[RELOADS]
    store, connections, in_flight = services.stores, app.get(CONNECTIONS), app[IN_FLIGHT]()
    body = {
        "object": "status",
        "version": __version__,
        "uptime_seconds": int(asyncio.get_running_loop().time() - services.started),
        **readiness(app),
        "configuration": None if reloads is None else status_of(reloads),
        "instances": app[INSTANCES](),
        "cooldowns": _cooldowns(request[SNAPSHOT]),
        "queue": {
            "requests": None if in_flight is None else in_flight - 1,  # without this one
            "conversations": request[SNAPSHOT].conversations.leases.waiting,
            "background_runs": app[BACKGROUND_RUNS](),
            "ledger_rows": 0 if services.ledger is None else services.ledger.waiting,
        },
        "store": {"backend": store.backend, "problem": store.health.problem},
        "redis": _redis(app),
        "ledger": _ledger(services.ledger),
        "locks": len(app[LOCKOUT].locked()),
        "connections": None if connections is None else connections(),
    }
    return web.Response(body=dumps(body), headers={"Content-Type": JSON, "Cache-Control": "no-store"})


def _cooldowns(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The models and keys that cool down, the one that does so longest at the end."""
    cooldowns = snapshot.runs.cooldowns
    cooling = []
    if not cooldowns.all_closed:
        for one in candidates_of(snapshot):
            seconds, kind = cooldowns.remaining(one.unit), cooldowns.kind(one.unit)
            if kind is not None and seconds > 0:
                cooling.append((seconds, one, kind))
    return [
        {
            "provider": one.ref.provider,
            "model": one.ref.model,
            "key": one.provider.key_id,
            "reason": kind.value,
            "seconds": ceil(seconds),
        }
        for seconds, one, kind in sorted(cooling, key=lambda entry: entry[0])
    ]


def _redis(app: web.Application) -> Mapping[str, Any] | None:
    link = app[LINK]
    if link is None:
        return None
    reason = None if link.available else link.reason
    return {"available": link.available, "reason": reason, "latency_seconds": round(link.latency, 6)}


def _ledger(ledger: Ledger | None) -> Mapping[str, int] | None:
    return None if ledger is None else {"written_rows": ledger.written, "lost_rows": ledger.lost}
