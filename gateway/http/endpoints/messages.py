"""`POST /v1/messages`: one agent run, streamed or whole, for clients of Anthropic's API."""

from functools import partial

from aiohttp import web

from gateway.core.token_estimate import prompt_tokens
from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.event_stream import EventStream
from gateway.http.answers.message_request import MessageRequest
from gateway.http.answers.relay import respond
from gateway.http.keys import TRACE
from gateway.wire.anthropic_messages.render import MessageRenderer
from gateway.wire.anthropic_messages.stream import PING

_EVENTS = partial(EventStream, ping=PING)


async def messages(request: web.Request) -> web.StreamResponse:
    """Run an agent for a message, streamed or whole."""
    asked = await MessageRequest.read(request)
    ingress = asked.ingress
    async with await dispatch(asked.call, ingress.model, ingress.user, asked.read_turn) as dispatched:
        estimate = prompt_tokens(dispatched.run.turn) if dispatched.turn.stream else 0
        renderer = MessageRenderer(seal=asked.seal, request_id=request[TRACE].id, prompt_tokens=estimate)
        return await respond(request, dispatched, dispatched.stream, renderer, _EVENTS)
