"""`POST /v1/responses`: one agent run, streamed, whole or in the background; kept unless the caller says no."""

import time
from contextlib import AsyncExitStack
from dataclasses import replace

from aiohttp import web
from msgspec import structs

from gateway.core.errors import BadRequest
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.core.session_key import HEADER, session_key
from gateway.http.answers.background import BACKGROUND, Job
from gateway.http.answers.background_events import replay
from gateway.http.answers.relay import streamed, whole
from gateway.http.answers.response_recorder import ResponseRecorder, Storage, messages_of
from gateway.http.answers.stored_responses import history, owner_of, referred_items
from gateway.http.body import read_body
from gateway.http.conversations import opened
from gateway.http.errors import JSON
from gateway.http.headers import run_options
from gateway.http.keys import PRINCIPAL, RUNTIME, TRACE
from gateway.http.quota import admitted_run, hand_over
from gateway.http.routes import RESPONSES_BODY
from gateway.media.files import with_file_texts
from gateway.media.images import checked_images
from gateway.media.url_parts import check_url_parts
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.run import prepare
from gateway.state.responses.store import StoredResponse
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.response_object import Head, response_object
from gateway.wire.openai_responses.stream import Renderer


async def responses(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, input, media; then the run."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, RESPONSES_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL], body)
    ingress = ResponsesIngress.read(body)
    agent = runtime.directory.resolve(ingress.model, options.agent)
    key = session_key(
        request.headers.get(HEADER),
        ingress.user,
        endpoint="openresponses",
        agent=agent.id,
        principal=request[PRINCIPAL],
    )
    owner, store = owner_of(request), runtime.stores.responses
    if references := ingress.references():
        ingress.refer(await referred_items(store, owner, references))
    turn = ingress.turn()
    wants_stream = turn.stream
    check_url_parts(turn, runtime.max_url_parts)
    earlier = await history(store, owner, agent.id, ingress.previous) if ingress.previous else ()
    turn = await with_file_texts(await checked_images(turn, runtime.response_images), runtime.response_files)
    said = messages_of(turn.messages, ingress.instructions)
    if earlier or ingress.background:
        messages = (*ingress.instructions, *earlier, *said)
        turn = structs.replace(turn, messages=messages, stream=turn.stream or ingress.background)
    response_id, created = new_id("resp_"), int(time.time())
    record = StoredResponse(
        response_id,
        owner.subject,
        agent.id,
        float(created),
        b"",
        dumps(ingress.input_items(response_id)) if ingress.stored else b"[]",
        said,
        owner.session,
        ingress.previous,
    )
    storage = Storage(store if ingress.stored else None, record)
    async with AsyncExitStack() as stack:
        conversation = None
        if key is not None:
            conversation = await stack.enter_async_context(opened(request, key, turn, agent))
            turn = conversation.turn
        run = await prepare(agent, turn, options, runtime.dispatch)
        if conversation is not None:
            run = conversation.fitted(run)
        head = Head(response_id, created, turn.model, ingress.echo(run.turn), ingress.sealed)
        renderer = Renderer(head, now=time.time)
        admitted: AnswerStream = run if runtime.quota is None else await admitted_run(request, runtime.quota, run)
        if conversation is not None:
            admitted = conversation.recorded(admitted, to_the_end=ingress.background)
        if not ingress.background:
            kept = ResponseRecorder(admitted, storage, head, renderer, streamed=turn.stream)
            if turn.stream:
                response = await streamed(request, kept, lambda: renderer)
                await kept.store_other_end()
                return response
            return await whole(request, kept, lambda _answer: kept.body)
        stored = await _begun(request, Job(admitted, renderer, storage), head)
        stack.pop_all()  # the conversation ends with the run, whoever leaves
    if wants_stream:
        return await replay(request, stored, 0)
    return web.Response(body=stored.body, headers={"Content-Type": JSON})


async def _begun(request: web.Request, job: Job, head: Head) -> StoredResponse:
    """The response that waits for its turn, once its run is a task of its own."""
    request.app[BACKGROUND].check()
    stored = replace(job.storage.record, body=dumps(response_object(head, "queued", ())))
    if not await request.app[RUNTIME].stores.responses.put(stored):
        raise BadRequest("`background`: the input is too large to be kept.", param="background")
    request.app[RUNTIME].recent.put(request[TRACE].id, job.run.trail)
    await request.app[BACKGROUND].start(job)
    job.meter = hand_over(request)  # if it has not begun, the request settles it
    return stored
