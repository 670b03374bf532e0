"""What runs in the background have told: the response as it stands, and the stream again from any event on."""

import asyncio
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from gateway.core.errors import NotFound, Unavailable
from gateway.core.jsonio import dumps, loads
from gateway.http.event_stream import EventStream
from gateway.http.kept_run import finished, kept
from gateway.http.keys import RUNTIME
from gateway.http.stored_responses import UNFINISHED
from gateway.state.configured import Stores
from gateway.state.responses.store import StoredResponse
from gateway.wire.framing import DONE
from gateway.wire.openai_responses.response_object import error_object

log = structlog.get_logger(__name__)

_LOOK = 0.1  # seconds between two looks at a run that another instance may be working on
_ENDS = tuple(b"event: response.%b\n" % kind for kind in (b"completed", b"incomplete", b"failed"))
_DEAD = "The instance that worked on this response has stopped. Send the request again."


async def current(stores: Stores, stored: StoredResponse) -> StoredResponse:
    """The response as it stands; one that nobody works on any more is ended as failed. Raises Unavailable."""
    response: dict[str, Any] = loads(stored.body)
    if response["status"] not in UNFINISHED:
        return stored
    told = await stores.events.read(stored.id, -1)
    last = told.events[-1] if told.events else b""
    if last.startswith(_ENDS):
        response = _payload(last)["response"]
        whole = finished(stored, dumps(response), response)
        await kept(stores.responses, whole)  # its worker may have died before it could
        return whole
    if not told.held:
        return await _bury(stores, stored, response)
    begun = bool(last) and not last.startswith(b"event: response.queued\n")
    return replace(stored, body=dumps({**response, "status": "in_progress"})) if begun else stored


async def replay(request: web.Request, stored: StoredResponse, number: int) -> web.StreamResponse:
    """The events from `number` on, as they were told and as they come. Raises NotFound when none are kept any more."""
    runtime = request.app[RUNTIME]
    stores = runtime.stores
    first = await stores.events.read(stored.id, -1)
    if not first.events and not first.held and loads(stored.body)["status"] not in UNFINISHED:
        raise NotFound(
            f"The events of response '{stored.id}' are not kept any more; fetch it without `stream`.",
            code="events_expired",
        )
    async with EventStream(request, headers=dict, heartbeat=runtime.heartbeat, opening=runtime.opening) as stream:
        while True:
            told = await stores.events.read(stored.id, number)
            if told.events:
                number += len(told.events)
                await stream.relay(b"".join(told.events))
                if told.events[-1].startswith(_ENDS):
                    break
            elif told.held:
                await asyncio.sleep(_LOOK)
            elif await _is_over(stores, stored):
                break
        await stream.finish(DONE)
    return stream


async def cancelled(stores: Stores, stored: StoredResponse, patience: float) -> StoredResponse:
    """The response once its worker has stopped. Raises Unavailable if it has not done so within `patience` seconds."""
    await stores.events.cancel(stored.id)
    try:
        async with asyncio.timeout(patience):
            while True:
                now = await current(stores, stored)
                if loads(now.body)["status"] not in UNFINISHED:
                    return now
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        raise Unavailable(
            f"Response '{stored.id}' has been asked to stop, but has not done so yet. Try again."
        ) from None


async def _is_over(stores: Stores, stored: StoredResponse) -> bool:
    """Whether all was told. If nobody works on a run that has not come to its end, its end is what comes next."""
    last = (await stores.events.read(stored.id, -1)).events
    if last and last[0].startswith(_ENDS):
        return True
    return (await current(stores, stored)) is stored


async def _bury(stores: Stores, stored: StoredResponse, response: dict[str, Any]) -> StoredResponse:
    """End a run whose worker is gone; whoever comes first does it."""
    number = len((await stores.events.read(stored.id, 0)).events)
    failed = {**response, "status": "failed", "error": error_object(Unavailable(_DEAD))}
    event = {"type": "response.failed", "response": failed, "sequence_number": number}
    frame = b"event: response.failed\ndata: " + dumps(event) + b"\n\n"
    if not await stores.events.finish(stored.id, number, frame):
        return await current(stores, stored)
    log.warning("a run in the background has lost its worker", response=stored.id)
    ended = finished(stored, dumps(failed), failed)
    await kept(stores.responses, ended)
    return ended


def _payload(frame: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = loads(frame.partition(b"\ndata: ")[2])
    return payload
