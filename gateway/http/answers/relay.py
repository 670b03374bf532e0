"""One run → one HTTP response, whole or as it comes. How answers look is the business of the renderers."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

import structlog
from aiohttp import web

from gateway.core.accumulator import Answer
from gateway.core.errors import GatewayError
from gateway.http.answers.event_stream import EventStream
from gateway.http.errors import JSON
from gateway.http.headers import run_headers
from gateway.http.keys import DRAIN, RUNTIME, TRACE
from gateway.runs.answer_stream import AnswerStream, whole_answer
from gateway.wire.contract import Renderer

log = structlog.get_logger(__name__)


async def whole(request: web.Request, run: AnswerStream, render: Callable[[Answer], bytes]) -> web.Response:
    """Wait for the whole answer. Raises GatewayError, so that a failure keeps its status."""
    request.app[RUNTIME].recent.put(request[TRACE].id, run.trail)
    asked = time.monotonic()
    answer = await whole_answer(run)
    answered = time.monotonic()
    body = render(answer)
    headers = run_headers(
        run.trail, gateway=asked - request[TRACE].started + time.monotonic() - answered, upstream=answered - asked
    )
    headers["Content-Type"] = JSON
    return web.Response(body=body, headers=headers)


async def streamed(request: web.Request, run: AnswerStream, start: Callable[[], Renderer]) -> web.StreamResponse:
    """Relay the events; `start` is called when the first of them is there. Raises GatewayError before that.

    Once the stream is open a failure is told in it, and every way ends it.
    """
    runtime = request.app[RUNTIME]
    runtime.recent.put(request[TRACE].id, run.trail)
    asked = time.monotonic()

    def headers() -> dict[str, str]:
        return run_headers(run.trail, gateway=asked - request[TRACE].started, upstream=time.monotonic() - asked)

    renderer: Renderer | None = None
    events = run.events()
    async with (
        EventStream(request, headers=headers, heartbeat=runtime.heartbeat, opening=runtime.opening) as response,
        aclosing(events),
    ):
        try:
            async for batch in events:
                if renderer is None:
                    renderer = start()
                if frames := renderer.feed(batch):
                    await response.relay(frames)
        except (GatewayError, asyncio.CancelledError) as raised:
            error = raised if isinstance(raised, GatewayError) else request.app[DRAIN].refusal(request)
            if error is None or not response.opened:
                raise
            log.warning("stream failed", type=error.type, reason=error.message)
            await response.finish((renderer or start()).fail(error))
        else:
            await response.finish((renderer or start()).close())
    return response
