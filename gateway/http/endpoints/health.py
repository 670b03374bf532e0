"""Probes for whoever runs the process: alive, started, ready. Public, before any proxy or auth check (recorded)."""

import asyncio

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import DEGRADED, DRAIN, RUNTIME

_HEADERS = {"Content-Type": JSON, "Cache-Control": "no-store"}


async def live(_: web.Request) -> web.StreamResponse:
    """The event loop turns."""
    return web.Response(body=b'{"ok":true,"status":"live"}', headers=_HEADERS)


async def started(_: web.Request) -> web.StreamResponse:
    """The application is set up: nothing is served before that."""
    return web.Response(body=b'{"ok":true,"status":"started"}', headers=_HEADERS)


async def ready(request: web.Request) -> web.StreamResponse:
    """Whether requests should be sent here; 503 names what is failing. `degraded` names what is done without."""
    runtime = request.app[RUNTIME]
    failing = ["draining"] if request.app[DRAIN].started else []
    degraded = [name for name, out_of_order in request.app[DEGRADED].items() if out_of_order()]
    uptime = int((asyncio.get_running_loop().time() - runtime.started) * 1000)
    body = dumps({"ready": not failing, "failing": failing, "degraded": degraded, "uptimeMs": uptime})
    return web.Response(status=503 if failing else 200, body=body, headers=_HEADERS)
