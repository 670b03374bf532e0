"""`POST /v1/responses`: one agent run, streamed or whole."""

import time

from aiohttp import web

from gateway.agents.run import prepare
from gateway.core.ids import new_id
from gateway.http.body import read_body
from gateway.http.headers import run_options
from gateway.http.keys import PRINCIPAL, RUNTIME
from gateway.http.quota import admitted_run
from gateway.http.relay import streamed, whole
from gateway.http.routes import RESPONSES_BODY
from gateway.media.files import with_file_texts
from gateway.media.images import checked_images
from gateway.media.url_parts import check_url_parts
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.render import render_reply
from gateway.wire.openai_responses.response_object import Head
from gateway.wire.openai_responses.stream import Renderer


async def responses(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, input, media; then the run."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, RESPONSES_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL], body)
    ingress = ResponsesIngress.read(body)
    agent = runtime.directory.resolve(ingress.model, options.agent)
    turn = ingress.turn()
    check_url_parts(turn, runtime.max_url_parts)
    turn = await with_file_texts(await checked_images(turn, runtime.response_images), runtime.response_files)
    run = await prepare(agent, turn, options, runtime.dispatch)
    admitted = run if runtime.quota is None else await admitted_run(request, runtime.quota, run)
    head = Head(new_id("resp_"), int(time.time()), turn.model, ingress.echo(turn))
    if turn.stream:
        return await streamed(request, admitted, lambda: Renderer(head, now=time.time))
    return await whole(request, admitted, lambda reply: render_reply(reply, head, completed=int(time.time())))
