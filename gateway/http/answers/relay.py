"""Relays one run as one HTTP response, streamed or whole. Renderers know the client's format."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol, Self

import structlog
from aiohttp import web

from gateway.core.errors import GatewayError
from gateway.core.event import Batch, Finish
from gateway.core.tracebacks import drop_tracebacks
from gateway.dispatch.dispatch import Dispatched
from gateway.dispatch.snapshot import Snapshot
from gateway.http.answers.event_stream import EventStream
from gateway.http.errors import JSON
from gateway.http.headers import run_headers, timing_header
from gateway.http.keys import DRAIN, SNAPSHOT, TRACE
from gateway.http.whole_response import WholeResponse
from gateway.runs.answer_stream import AnswerStream, whole_answer
from gateway.wire.contract import AnswerRenderer, Renderer

log = structlog.get_logger(__name__)


class ClientStream(Protocol):
    """Where a stream goes: an `EventStream`, or a `SocketStream`. Its first frames open it.

    `is_open`: a failure can only be reported in the stream. `opened_early`: it has headers of before the first event.
    `response` is what the handler returns.
    """

    @property
    def is_open(self) -> bool: ...  # noqa: D102

    @property
    def opened_early(self) -> bool: ...  # noqa: D102

    @property
    def response(self) -> web.StreamResponse: ...  # noqa: D102

    async def relay(self, frames: bytes) -> None:
        """Send whole frames."""
        ...

    async def finish(self, frames: bytes) -> None:
        """Send the last frames."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, kind: object, /, *exc_info: object) -> None: ...


OpenStream = Callable[..., ClientStream]
"""Makes a ClientStream from a request, and the keyword arguments of `EventStream`."""


async def respond(
    request: web.Request,
    dispatched: Dispatched,
    stream: AnswerStream,
    renderer: AnswerRenderer,
    open_stream: OpenStream = EventStream,
) -> web.StreamResponse:
    """Respond streamed or whole, as requested; `stream` is the dispatched one or wraps it. Raises GatewayError."""
    request[TRACE].run = dispatched.run.trace
    if dispatched.turn.stream:
        return await _streamed(request, dispatched, stream, renderer, open_stream)
    return await _whole(request, dispatched, stream, renderer)


def reported_model(dispatched: Dispatched, snapshot: Snapshot) -> str:
    """The `model` to report: the client's own `model`, or the model that answered."""
    run = dispatched.run
    return str(run.trace.answered) if snapshot.report_upstream_model else run.turn.model


async def _whole(
    request: web.Request, dispatched: Dispatched, stream: AnswerStream, renderer: AnswerRenderer
) -> web.StreamResponse:
    """Wait for the whole answer. Raises GatewayError, so that a failure keeps its status."""
    trace = request[TRACE]
    run_start = time.monotonic()
    answer = await whole_answer(stream)
    run_end = time.monotonic()
    trace.run_seconds = run_end - run_start
    body = renderer.body(answer, reported_model(dispatched, request[SNAPSHOT]))
    headers = run_headers(
        stream.trace,
        gateway=run_start - trace.started + time.monotonic() - run_end,
        upstream=trace.run_seconds,
    )
    headers["Content-Type"] = JSON
    return WholeResponse(body, headers)


async def _streamed(
    request: web.Request,
    dispatched: Dispatched,
    stream: AnswerStream,
    renderer: AnswerRenderer,
    open_stream: OpenStream,
) -> web.StreamResponse:
    """Relay the events. Raises GatewayError before the first of them.

    Once the stream is open, a failure is reported in it. Every ending closes it.
    """
    snapshot, trace = request[SNAPSHOT], stream.trace
    run_start = time.monotonic()

    def headers(*, early: bool) -> dict[str, str]:
        gateway, upstream = run_start - request[TRACE].started, time.monotonic() - run_start
        if early:  # a fallback may answer instead of the current model
            return timing_header(trace, gateway=gateway, upstream=upstream)
        return run_headers(trace, gateway=gateway, upstream=upstream)

    rendered: Renderer | None = None
    held = b""  # the frames of the last batch: they leave with those that end the stream,
    holds_last = stream is dispatched.run  # unless something is stored or settled in between
    events = stream.events()
    async with (
        open_stream(request, headers=headers, heartbeat=snapshot.heartbeat, opening=snapshot.opening) as response,
        aclosing(events),
    ):
        try:
            async for batch in events:
                if rendered is None:
                    rendered = renderer.stream(reported_model(dispatched, snapshot))
                frames, held = held + rendered.feed(batch), b""
                if holds_last and _finishes(batch):
                    held = frames
                elif frames:
                    await response.relay(frames)
        except (GatewayError, asyncio.CancelledError) as raised:
            error = raised if isinstance(raised, GatewayError) else request.app[DRAIN].refusal(request)
            if error is None or not response.is_open:
                raise
            log.warning("Stream failed", type=error.type, reason=error.log_message)
            drop_tracebacks(raised)
            rendered = rendered or renderer.stream(reported_model(dispatched, snapshot))
            await response.finish(held + _late_headers(response, stream) + rendered.fail(error))
        else:
            request[TRACE].run_seconds = time.monotonic() - run_start
            rendered = rendered or renderer.stream(reported_model(dispatched, snapshot))
            await response.finish(held + _late_headers(response, stream) + rendered.close())
    return response.response


def _finishes(batch: Batch) -> bool:
    """Whether the answer is complete with this batch. A round of tool calls ends with a UsageReport alone."""
    return batch[-1].__class__ is Finish or (len(batch) > 1 and batch[-2].__class__ is Finish)


def _late_headers(response: ClientStream, stream: AnswerStream) -> bytes:
    """A comment with the headers that were unknown when a heartbeat opened the stream; empty if no heartbeat did."""
    trace = stream.trace
    if not response.opened_early or not trace.attempts:
        return b""
    return f": x-openclaw-model: {trace.answered}\n: x-openclaw-attempts: {len(trace.attempts)}\n\n".encode()
