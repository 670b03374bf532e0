"""`POST /v1/responses`: one agent run, streamed, whole or in the background; stored unless `store` is false."""

from functools import partial

from aiohttp import web

from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.response_request import ResponseRequest
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import LARGE, decoded
from gateway.http.routes import RESPONSES_BODY
from gateway.wire.openai_responses.ingress import ResponsesIngress


async def responses(request: web.Request) -> web.StreamResponse:
    """Run an agent for a response, streamed, whole or in the background.

    Checks in OpenClaw's order: body, scope of a model override, field types, agent, tools, input, media.
    """
    body = await read_body(request, RESPONSES_BODY, request[SNAPSHOT].body_timeout)
    call = call_of(request, body, "openresponses")
    large = len(body) > LARGE
    ingress = await decoded(request, partial(ResponsesIngress.read, body)) if large else ResponsesIngress.read(body)
    del body  # the run may last for minutes
    response_request = ResponseRequest(request, ingress, call.options.model)
    async with await dispatch(call, ingress.model, ingress.user, response_request.read_turn) as dispatched:
        return await response_request.respond(dispatched)
