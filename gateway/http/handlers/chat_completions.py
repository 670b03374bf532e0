"""`POST /v1/chat/completions`: one agent run, streamed or whole."""

import time
from contextlib import aclosing

import structlog
from aiohttp import web

from gateway.agents.run import Run, prepare
from gateway.core.errors import GatewayError
from gateway.core.ids import new_id
from gateway.core.reply import collect
from gateway.http.body import read_body
from gateway.http.event_stream import EventStream
from gateway.http.headers import run_headers, run_options
from gateway.http.keys import PRINCIPAL, RUNTIME, TRACE
from gateway.http.middleware.errors import JSON
from gateway.http.routes import CHAT_BODY
from gateway.http.runtime import Runtime
from gateway.media.images import checked_images
from gateway.wire.openai_completions.ingress import ChatIngress
from gateway.wire.openai_completions.render import Renderer, render_reply

log = structlog.get_logger(__name__)


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, images; then the run."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, CHAT_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL])
    ingress = ChatIngress.read(body)
    agent = runtime.directory.resolve(ingress.model, options.agent)
    turn = await checked_images(ingress.turn(), runtime.images)
    run = await prepare(agent, turn, options, runtime.providers, runtime.caller)
    if turn.stream:
        return await _streamed(request, runtime, run)
    return await _whole(request, runtime, run)


async def _whole(request: web.Request, runtime: Runtime, run: Run) -> web.Response:
    asked = time.monotonic()
    reply = await collect(run.events())
    answered = time.monotonic()
    body = render_reply(reply, id=new_id("chatcmpl_"), created=int(time.time()), model=_reported_model(runtime, run))
    headers = run_headers(
        run.trail, gateway=asked - request[TRACE].started + time.monotonic() - answered, upstream=answered - asked
    )
    headers["Content-Type"] = JSON
    return web.Response(body=body, headers=headers)


async def _streamed(request: web.Request, runtime: Runtime, run: Run) -> web.StreamResponse:
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
                    renderer = _renderer(runtime, run)
                await response.relay(renderer.feed(batch))
        except GatewayError as error:
            if not response.opened:
                raise
            log.warning("stream failed", type=error.type, reason=error.message)
            await response.relay((renderer or _renderer(runtime, run)).fail(error))
        else:
            await response.relay((renderer or _renderer(runtime, run)).close())
        await response.write_eof()
    return response


def _renderer(runtime: Runtime, run: Run) -> Renderer:
    return Renderer(
        id=new_id("chatcmpl_"),
        created=int(time.time()),
        model=_reported_model(runtime, run),
        include_usage=run.turn.include_usage,
    )


def _reported_model(runtime: Runtime, run: Run) -> str:
    return str(run.trail.answered) if runtime.report_upstream_model else run.turn.model
