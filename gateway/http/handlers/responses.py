"""`POST /v1/responses`: one agent run, streamed, whole or in the background; kept unless the caller says no."""

import time
from dataclasses import replace

from aiohttp import web

from gateway.agents.run import prepare
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.http.body import read_body
from gateway.http.headers import run_options
from gateway.http.kept_run import Keeping, KeptRun, messages_of
from gateway.http.keys import PRINCIPAL, RUNTIME
from gateway.http.quota import admitted_run
from gateway.http.relay import streamed, whole
from gateway.http.routes import RESPONSES_BODY
from gateway.http.stored_responses import history, owner_of, referred_items
from gateway.media.files import with_file_texts
from gateway.media.images import checked_images
from gateway.media.url_parts import check_url_parts
from gateway.state.responses.store import StoredResponse
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.response_object import Head
from gateway.wire.openai_responses.stream import Renderer


async def responses(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, input, media; then the run."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, RESPONSES_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL], body)
    ingress = ResponsesIngress.read(body)
    agent = runtime.directory.resolve(ingress.model, options.agent)
    owner, store = owner_of(request), runtime.stores.responses
    if references := ingress.references():
        ingress.refer(await referred_items(store, owner, references))
    turn = ingress.turn()
    check_url_parts(turn, runtime.max_url_parts)
    earlier = await history(store, owner, agent.id, ingress.previous) if ingress.previous else ()
    turn = await with_file_texts(await checked_images(turn, runtime.response_images), runtime.response_files)
    said = messages_of(turn.messages, ingress.instructions)
    run = await prepare(
        agent,
        replace(turn, messages=(*ingress.instructions, *earlier, *said)) if earlier else turn,
        options,
        runtime.dispatch,
    )
    admitted = run if runtime.quota is None else await admitted_run(request, runtime.quota, run)
    head = Head(new_id("resp_"), int(time.time()), turn.model, ingress.echo(turn))
    record = StoredResponse(
        head.id,
        owner.subject,
        agent.id,
        float(head.created),
        b"",
        dumps(ingress.input_items(head.id)) if ingress.stored else b"[]",
        said,
        owner.session,
        ingress.previous,
    )
    renderer = Renderer(head, now=time.time)
    kept = KeptRun(admitted, Keeping(store if ingress.stored else None, record), head, renderer)
    if turn.stream:
        return await streamed(request, kept, lambda: renderer)
    return await whole(request, kept, lambda _reply: kept.body)
