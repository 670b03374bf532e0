"""`POST /v1/chat/completions`: one agent run, streamed or whole."""

import time

from aiohttp import web

from gateway.conversations.conversation import Conversation
from gateway.core.accumulator import Answer
from gateway.core.ids import new_id
from gateway.core.session_key import HEADER, session_key
from gateway.core.turn import Turn
from gateway.http.answers.relay import streamed, whole
from gateway.http.body import read_body
from gateway.http.conversations import opened
from gateway.http.headers import run_options
from gateway.http.keys import PRINCIPAL, RUNTIME
from gateway.http.quota import admitted_run
from gateway.http.routes import CHAT_BODY
from gateway.http.runtime import Runtime
from gateway.media.images import checked_images
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.run import Run, prepare
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.render import Renderer, render_answer


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, images; then the run."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, CHAT_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL], body)
    ingress = ChatIngress.read(body)
    agent = runtime.directory.resolve(ingress.model, options.agent)
    key = session_key(
        request.headers.get(HEADER), ingress.user, endpoint="openai", agent=agent.id, principal=request[PRINCIPAL]
    )
    turn = await checked_images(ingress.turn(), runtime.images)
    if key is None:
        return await _answer(request, turn, await prepare(agent, turn, options, runtime.dispatch))
    async with opened(request, key, turn, agent) as conversation:
        run = conversation.fitted(await prepare(agent, conversation.turn, options, runtime.dispatch))
        return await _answer(request, turn, run, conversation)


async def _answer(
    request: web.Request, turn: Turn, run: Run, conversation: Conversation | None = None
) -> web.StreamResponse:
    runtime = request.app[RUNTIME]
    admitted: AnswerStream = run if runtime.quota is None else await admitted_run(request, runtime.quota, run)
    if conversation is not None:
        admitted = conversation.recorded(admitted)
    if turn.stream:
        return await streamed(request, admitted, lambda: _renderer(runtime, run))
    return await whole(request, admitted, lambda answer: _body(runtime, run, answer))


def _body(runtime: Runtime, run: Run, answer: Answer) -> bytes:
    return render_answer(answer, id=new_id("chatcmpl_"), created=int(time.time()), model=_reported_model(runtime, run))


def _renderer(runtime: Runtime, run: Run) -> Renderer:
    return Renderer(
        id=new_id("chatcmpl_"),
        created=int(time.time()),
        model=_reported_model(runtime, run),
        include_usage=run.turn.include_usage,
    )


def _reported_model(runtime: Runtime, run: Run) -> str:
    return str(run.trail.answered) if runtime.report_upstream_model else run.turn.model
