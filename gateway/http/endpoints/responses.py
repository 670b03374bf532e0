"""`POST /v1/responses`: one agent run, streamed, whole or in the background; stored unless the client says no."""

from aiohttp import web

from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.response_request import ResponseRequest
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.routes import RESPONSES_BODY
from gateway.wire.openai_responses.ingress import ResponsesIngress


async def responses(request: web.Request) -> web.StreamResponse:
    """Checks in the recorded order: body, override's scope, shape, agent, tools, input, media; then the run."""
    body = await read_body(request, RESPONSES_BODY, request[SNAPSHOT].body_timeout)
    call = call_of(request, body, "openresponses")
    ingress = ResponsesIngress.read(body)
    asked = ResponseRequest(request, ingress)
    async with await dispatch(call, ingress.model, ingress.user, asked.read_turn) as dispatched:
        return await asked.respond(dispatched)
