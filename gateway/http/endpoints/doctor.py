"""`/api/v1/doctor`: faults of the set-up as this process sees them, and a stream to test what is in front of it."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web

from gateway.core.errors import BadRequest, MissingScope
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import CLIENT, PRINCIPAL

EVENTS: Final = 5
INTERVAL: Final = 0.3
"""Seconds between two events of the test stream."""
_BOOLEANS = {"true": True, "false": False}
_MAX_IDS = 100


class Doctor(Protocol):
    """Examines the set-up of this process."""

    async def examine(self, only: Sequence[str], *, deep: bool) -> list[dict[str, str]]:
        """The findings with these ids or groups, all without any. Raises ValueError for an unknown one."""
        ...


DOCTOR: web.AppKey[Doctor] = web.AppKey("doctor")


async def doctor(request: web.Request) -> web.StreamResponse:
    """Look for faults of the set-up, at no cost: `only` ids or groups of them, `deep` also what takes seconds.

    Raises MissingScope for callers who administer nothing but their own, and BadRequest.
    """
    _require_administrator(request)
    only = [name for value in request.query.getall("only", []) for name in value.split(",") if name]
    deep = _BOOLEANS.get(request.query.get("deep", "false").lower())
    if deep is None:
        raise BadRequest("`deep`: must be `true` or `false`.", param="deep")
    try:
        findings = await request.app[DOCTOR].examine(only[:_MAX_IDS], deep=deep)
    except ValueError as error:
        raise BadRequest(f"`only`: {error}.", param="only") from None
    body = dumps({"object": "doctor", "deep": deep, "findings": findings})
    return web.Response(body=body, headers={"Content-Type": JSON, "Cache-Control": "no-store"})


async def doctor_stream(request: web.Request) -> web.StreamResponse:
    """Five small events in 1.2 seconds, each with the client that the gateway sees: a test of what is in front.

    Raises MissingScope for callers who administer nothing but their own.
    """
    _require_administrator(request)
    client, loop = request[CLIENT], asyncio.get_running_loop()
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    shown = {
        "client": client.host,
        "forwarded": client.forwarded,
        "peer": None if not isinstance(peer, tuple) else {"host": peer[0], "port": peer[1]},
    }
    # The headers of the streams of answers (`gateway.http.answers.event_stream`): a front end must treat both alike.
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    began = loop.time()
    for number in range(EVENTS):
        if number:
            await asyncio.sleep(INTERVAL)
        event = {**shown, "number": number, "milliseconds": round((loop.time() - began) * 1000)}
        await response.write(b"data: " + dumps(event) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _require_administrator(request: web.Request) -> None:
    if not request[PRINCIPAL].administers:
        raise MissingScope(Scope.ADMIN)
