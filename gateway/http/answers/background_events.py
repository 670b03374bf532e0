"""Reads background runs: the current response, and its stream from any event on."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError, NotFound, Unavailable
from gateway.core.event_json import read_batch
from gateway.core.jsonio import dumps, loads
from gateway.core.message import Message
from gateway.core.seal import Seal
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.background_entry import end_entry, end_status, is_batch, is_end, is_sealed
from gateway.http.answers.event_stream import EventStream
from gateway.http.answers.response_recorder import store_ended
from gateway.http.answers.stored_responses import UNFINISHED
from gateway.http.keys import DRAIN, SERVICES, SNAPSHOT
from gateway.http.large_bodies import LARGE
from gateway.http.media_requester import requester_of
from gateway.state.configured import Stores
from gateway.state.responses.store import Hold, StoredResponse
from gateway.wire.framing.sse import DONE
from gateway.wire.openai_responses.response_object import head_of
from gateway.wire.openai_responses.stream import Renderer

log = structlog.get_logger(__name__)

_POLL_INTERVAL = 0.1  # seconds between two reads of a log that another instance may be writing
_MAX_WAIT = 10.0  # seconds that a stream waits for an unavailable log
_ENDS = 4  # events at the end that have the whole text: of the text, its part, its item, and the response
_DEAD = "The instance that worked on this response has stopped. Send the request again."


async def current(stores: Stores, stored: StoredResponse) -> StoredResponse:
    """The current response. If its worker has died, this ends it as failed. Raises Unavailable."""
    response: dict[str, Any] = loads(stored.body)
    if response["status"] not in UNFINISHED:
        return stored
    page = await stores.events.read(stored.id, -1)
    last = page.events[-1] if page.events else b""
    if is_end(last):
        return await _ended(stores, stored, end_status(last))
    if not page.held:
        return await _fail_orphan(stores, stored)
    return replace(stored, body=dumps({**response, "status": "in_progress"})) if is_batch(last) else stored


async def cancelled(stores: Stores, stored: StoredResponse, timeout: float) -> StoredResponse:  # noqa: ASYNC109
    """The response once its worker has stopped. Raises Unavailable if it has not stopped within `timeout` seconds."""
    await stores.events.cancel(stored.id)
    try:
        async with asyncio.timeout(timeout):
            while True:
                now = await current(stores, stored)
                if loads(now.body)["status"] not in UNFINISHED:
                    return now
                await asyncio.sleep(_POLL_INTERVAL)
    except TimeoutError:
        raise Unavailable(f"Response '{stored.id}' has not stopped yet. Try again.") from None


async def replay(request: web.Request, stored: StoredResponse, number: int) -> web.StreamResponse:
    """Stream the events from `number` on, logged ones and future ones. Raises NotFound if the log has expired."""
    snapshot, stores = request[SNAPSHOT], request.app[SERVICES].stores
    first = await stores.events.read(stored.id, -1)
    if not first.events and not first.held and loads(stored.body)["status"] not in UNFINISHED:
        raise _expired(stored)
    reader = LogReader(stores, stored, number, requester_of(request).hold)
    async with EventStream(
        request, headers=_no_headers, heartbeat=snapshot.heartbeat, opening=snapshot.opening
    ) as stream:
        try:
            async with aclosing(reader.frames()) as batches:
                async for frames in batches:
                    await stream.relay(b"".join(frames))
        except (GatewayError, asyncio.CancelledError) as raised:
            error = raised if isinstance(raised, GatewayError) else request.app[DRAIN].refusal(request)
            if error is None or not stream.is_open:
                raise
            drop_tracebacks(raised)
            log.warning("The stream of a background run was interrupted", response=stored.id, reason=error.log_message)
            await stream.finish(_interruption(error, reader.number))
        else:
            await stream.finish(DONE)
    return stream


def _expired(stored: StoredResponse) -> NotFound:
    return NotFound(
        f"The events of response '{stored.id}' are not stored any more; fetch it without `stream`.",
        code="events_expired",
    )


def _no_headers(*, early: bool) -> dict[str, str]:  # noqa: ARG001
    return {}


class LogReader:
    """Renders a log and returns its events from `number` on. `number` advances to the next event to send.

    `hold` reserves memory for more bytes, because the renderer holds what it has rendered. It raises Overloaded.
    """

    def __init__(self, stores: Stores, stored: StoredResponse, number: int, hold: Hold = lambda _: None) -> None:
        self.number = number
        self._hold = hold
        self._unreserved = 0  # bytes
        self._stores = stores
        self._stored = stored
        self._rendered = 0  # events
        self._renderer: Renderer | None = None
        self._seal: Seal | None = None

    async def frames(self) -> AsyncGenerator[list[bytes]]:
        """The events, until the end of the run. Raises Unavailable if the log stays unavailable for `_MAX_WAIT`, and
        Overloaded if there is no memory for a large answer.
        """
        clock = asyncio.get_running_loop().time
        last_read, entry = clock(), 0
        while True:
            try:
                page = await self._stores.events.read(self._stored.id, entry)
                is_last = bool(page.events) and is_end(page.events[-1])
                # This may raise, so it comes before rendering: rendering an entry twice would duplicate events.
                ended = await _ended(self._stores, self._stored, end_status(page.events[-1])) if is_last else None
                if not page.events and not page.held:
                    ended = await self._without_events(entry)
                    if ended is None:
                        continue  # the end has been logged meanwhile
            except Unavailable:
                if clock() - last_read >= _MAX_WAIT:
                    raise
                await asyncio.sleep(_POLL_INTERVAL)
                continue
            last_read, entry = clock(), entry + len(page.events)
            if page.events and self._renderer is None and is_sealed(page.events[0]):
                self._seal = await self._stores.seals.of(self._stored.subject)
            entries = page.events or (() if ended is None else (end_entry("failed"),))
            self._reserve(sum(map(len, entries)) + (0 if ended is None else _ENDS * len(ended.body)))
            if ready := [frame for one in entries for frame in self._read(one, ended)]:
                self.number += len(ready)
                yield ready
            if ended is not None:
                return
            if not page.events:
                await asyncio.sleep(_POLL_INTERVAL)

    def _reserve(self, size: int) -> None:
        self._unreserved += size
        if self._unreserved > LARGE:
            self._hold(self._unreserved)
            self._unreserved = 0

    async def _without_events(self, entry: int) -> StoredResponse | None:
        """The response of a run without a worker whose log has no entry at this index. None: read again.

        A run whose worker has died is ended first. Raises NotFound if the log of a complete answer was deleted.
        """
        stores, stored = self._stores, self._stored
        page = await stores.events.read(stored.id, -1)
        if page.held:
            return None
        is_ended = bool(page.events) and is_end(page.events[-1])
        if is_ended and (await stores.events.read(stored.id, entry)).events:
            return None  # the end has been logged meanwhile
        latest = await stores.responses.get(stored.subject, stored.id)
        status = "deleted" if latest is None else loads(latest.body)["status"]
        if not is_ended and (page.events or status in UNFINISHED):
            await _fail_orphan(stores, stored)
            return None
        if status in ("failed", "cancelled"):
            return latest  # the run was cut off
        raise _expired(stored)

    def _read(self, entry: bytes, ended: StoredResponse | None) -> list[bytes]:
        """The requested events of an entry; for the last entry, the final events of the stored response `ended`."""
        frames: list[bytes] = []
        if self._renderer is None:
            head = head_of(loads(self._stored.body), seal=self._seal)
            self._renderer = Renderer(head, now=time.time)
            frames += self._renderer.open()
        if ended is not None and is_end(entry):
            frames += self._renderer.end(loads(ended.body))
        elif is_batch(entry):
            frames += self._renderer.frames(read_batch(entry))
        first = self.number - self._rendered
        self._rendered += len(frames)
        return frames[max(0, first) :]


def _interruption(error: GatewayError, number: int) -> bytes:
    """The last frames of an interrupted stream whose run continues.

    They repeat the number of the last event sent, so that a client that resumes after it misses nothing.
    """
    event = {
        "type": "error",
        "code": error.code or error.type,
        "message": error.message,
        "param": error.param,
        "sequence_number": max(0, number - 1),
    }
    return b"event: error\ndata: " + dumps(event) + b"\n\n" + DONE


async def _fail_orphan(stores: Stores, stored: StoredResponse) -> StoredResponse:
    """End a run whose worker has died. The first reader calls it.

    The response is failed, unless the worker stored a response before it died.
    """
    entries = 0
    while page := (await stores.events.read(stored.id, entries)).events:
        entries += len(page)
    stored = await stores.responses.get(stored.subject, stored.id) or stored
    status = loads(stored.body)["status"]
    is_stored = status not in UNFINISHED
    if not await stores.events.finish(stored.id, entries, end_entry(status if is_stored else "failed")):
        return await current(stores, stored)
    log.warning("The worker of a background run has died", response=stored.id)
    return stored if is_stored else await _ended(stores, stored, "failed")


async def _ended(stores: Stores, stored: StoredResponse, status: str) -> StoredResponse:
    """The response of a run that has ended. If the store lacks it, it is rendered from the log and stored."""
    latest = await stores.responses.get(stored.subject, stored.id)
    if latest is not None and loads(latest.body)["status"] not in UNFINISHED:
        return latest
    page = (await stores.events.read(stored.id, 0)).events
    seal = await stores.seals.of(stored.subject) if page and is_sealed(page[0]) else None
    renderer = Renderer(head_of(loads(stored.body), seal=seal), now=time.time)
    answer, number = Accumulator(), 0
    while page:
        for entry in page:
            if is_batch(entry):
                batch = read_batch(entry)
                renderer.frames(batch)
                answer.add(batch)
        number += len(page)
        page = (await stores.events.read(stored.id, number)).events
    messages: tuple[Message, ...] = ()
    if status == "cancelled":
        response = renderer.cancellation()
    elif status == "failed" or not answer.finished:
        response = renderer.failure(Unavailable(_DEAD))
    else:
        whole = answer.answer()
        response, messages = renderer.outcome(), (*whole.tool_work, *whole.messages())
    return await store_ended(stores.responses, latest or stored, response, messages)
