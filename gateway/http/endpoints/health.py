"""Probes: live, started, ready. Public: they skip the proxy and auth checks, as in OpenClaw."""

import asyncio
from typing import Any

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import DEGRADED, DRAIN, RELOADS, SERVICES

_HEADERS = {"Content-Type": JSON, "Cache-Control": "no-store"}


async def live(_: web.Request) -> web.StreamResponse:
    """The process is live: its event loop responds."""
    return web.Response(body=b'{"ok":true,"status":"live"}', headers=_HEADERS)


async def started(_: web.Request) -> web.StreamResponse:
    """The process has started; it serves no request before that."""
    return web.Response(body=b'{"ok":true,"status":"started"}', headers=_HEADERS)


async def ready(request: web.Request) -> web.StreamResponse:
    """Whether to send requests here. A 503 names what is `failing`; `degraded` names unavailable optional parts, and
    `configuration` while the last change of it is refused.
    """
    state = readiness(request.app)
    uptime = int((asyncio.get_running_loop().time() - request.app[SERVICES].started) * 1000)
    body = dumps({**state, "uptimeMs": uptime})
    return web.Response(status=200 if state["ready"] else 503, body=body, headers=_HEADERS)


def readiness(app: web.Application) -> dict[str, Any]:
    """`ready`, and the names of what is `failing` and `degraded`."""
    failing = ["draining"] if app[DRAIN].started else []
    degraded = [name for name, is_failing in app[DEGRADED].items() if is_failing()]
    reloads = app[RELOADS]
    if reloads is not None and (last := reloads.status.last) is not None and last.status == "refused":
        degraded.append("configuration")
    return {"ready": not failing, "failing": failing, "degraded": degraded}
