"""What runs in the background have told: the response as it stands, and the stream again from any event on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from gateway.core.errors import GatewayError, NotFound, Unavailable
from gateway.core.jsonio import dumps, loads
from gateway.http.answers.event_stream import EventStream
from gateway.http.answers.response_recorder import store_ended
from gateway.http.answers.stored_responses import UNFINISHED
from gateway.http.keys import DRAIN, RUNTIME
from gateway.state.configured import Stores
from gateway.state.responses.store import StoredResponse
from gateway.wire.framing.sse import DONE
from gateway.wire.openai_responses.items import read_items
from gateway.wire.openai_responses.response_object import error_object
from gateway.wire.openai_responses.stream import end_frame

log = structlog.get_logger(__name__)

_LOOK = 0.1  # seconds between two looks at a run that another instance may be working on
_PATIENCE = 10.0  # seconds that a stream waits for a log that is away
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
        kept = await stores.responses.get(stored.subject, stored.id)  # before that was told, but after we had looked
        if kept is not None and loads(kept.body)["status"] not in UNFINISHED:
            return kept
        told = _payload(last)["response"]
        messages = read_items(list(told["output"]), "output") if told["status"] in ("completed", "incomplete") else ()
        return await store_ended(stores.responses, stored, told, messages)
    if not told.held:
        return await _fail_orphan(stores, stored, last)
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
        try:
            async with aclosing(_told(stores, stored, number)) as told:
                async for events in told:
                    number += len(events)
                    await stream.relay(b"".join(events))
        except (GatewayError, asyncio.CancelledError) as raised:
            error = raised if isinstance(raised, GatewayError) else request.app[DRAIN].refusal(request)
            if error is None or not stream.opened:
                raise
            log.warning("a stream of a run in the background was cut off", response=stored.id, reason=error.message)
            await stream.finish(_cut_off(error, number))
        else:
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


async def _told(stores: Stores, stored: StoredResponse, number: int) -> AsyncGenerator[tuple[bytes, ...]]:
    """The events from `number` on as they come, up to the run's end. Raises Unavailable for a log that stays away."""
    clock = asyncio.get_running_loop().time
    reached = clock()
    while True:
        try:
            told = await stores.events.read(stored.id, number)
            over = not told.events and not told.held and await _is_over(stores, stored)
        except Unavailable:
            if clock() - reached >= _PATIENCE:
                raise
            await asyncio.sleep(_LOOK)
            continue
        reached = clock()
        if told.events:
            number += len(told.events)
            yield told.events
            over = told.events[-1].startswith(_ENDS)
        elif told.held:
            await asyncio.sleep(_LOOK)
        if over:
            return


async def _is_over(stores: Stores, stored: StoredResponse) -> bool:
    """Whether all was told. If nobody works on a run that has not come to its end, its end is what comes next."""
    told = await stores.events.read(stored.id, -1)
    last = told.events[-1] if told.events else b""
    if last.startswith(_ENDS) or not (last or told.held or loads(stored.body)["status"] in UNFINISHED):
        return True
    if not told.held:
        await _fail_orphan(stores, stored, last)
    return False


def _cut_off(error: GatewayError, number: int) -> bytes:
    """The last frames of a stream whose run goes on elsewhere. Their number is that of the last event that was told, so
    that whoever comes back with it misses nothing.
    """
    event = {
        "type": "error",
        "code": error.code or error.type,
        "message": error.message,
        "param": error.param,
        "sequence_number": max(0, number - 1),
    }
    return b"event: error\ndata: " + dumps(event) + b"\n\n" + DONE


async def _fail_orphan(stores: Stores, stored: StoredResponse, last: bytes) -> StoredResponse:
    """End a run whose worker is gone, after its `last` event; whoever comes first does it.

    Its response has failed, unless the worker could still keep it and was gone before it could tell.
    """
    number = _payload(last)["sequence_number"] + 1 if last else 0
    stored = await stores.responses.get(stored.subject, stored.id) or stored
    response: dict[str, Any] = loads(stored.body)
    is_kept = response["status"] not in UNFINISHED
    if not is_kept:
        response |= {"status": "failed", "error": error_object(Unavailable(_DEAD))}
    if not await stores.events.finish(stored.id, number, end_frame(response, number)):
        return await current(stores, stored)
    log.warning("a run in the background has lost its worker", response=stored.id)
    return stored if is_kept else await store_ended(stores.responses, stored, response)


def _payload(frame: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = loads(frame.partition(b"\ndata: ")[2])
    return payload
