"""`POST /v1/chat/completions`: one agent run, streamed or whole."""

import time
from functools import partial

from aiohttp import web

from gateway.agents.agent import Agent
from gateway.core.turn import Turn
from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.relay import respond
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import LARGE, decoded
from gateway.http.media_requester import requester_of
from gateway.http.routes import CHAT_BODY
from gateway.media.images import checked_images
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.render import ChatRenderer


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Run an agent for a chat completion, streamed or whole.

    Checks in OpenClaw's order: body, scope of a model override, field types, agent, tools, images.
    """
    snapshot = request[SNAPSHOT]
    body = await read_body(request, CHAT_BODY, snapshot.body_timeout)
    call = call_of(request, body, "openai")
    large = len(body) > LARGE
    ingress = await decoded(request, partial(ChatIngress.read, body)) if large else ChatIngress.read(body)
    legacy = ingress.legacy_functions
    del body  # the run may last for minutes

    async def read_turn(_agent: Agent) -> Turn:
        turn = await decoded(request, ingress.turn) if large else ingress.turn()
        if turn.has_images() or turn.has_tool_results():
            turn = await checked_images(turn, snapshot.media.images, requester_of(request))
        return turn

    async with await dispatch(call, ingress.model, ingress.user, read_turn) as dispatched:
        renderer = ChatRenderer(now=time.time(), include_usage=dispatched.turn.include_usage, functions=legacy)
        return await respond(request, dispatched, dispatched.stream, renderer)
