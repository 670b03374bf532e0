"""`POST /v1/responses/input_tokens`: how many tokens a request would send to the model."""

from functools import partial

from aiohttp import web

from gateway.http.answers.response_request import ResponseRequest
from gateway.http.answers.token_count import respond_with_count
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import decoded
from gateway.http.routes import RESPONSES_BODY
from gateway.wire.openai_responses.ingress import ResponsesIngress


async def input_tokens(request: web.Request) -> web.StreamResponse:
    """Count the tokens of the request, the agent's prompt included: by the provider if it can, else estimated."""
    body = await read_body(request, RESPONSES_BODY, request[SNAPSHOT].body_timeout)
    call = call_of(request, body, "openresponses")
    ingress = await decoded(request, partial(ResponsesIngress.read, body))
    read_turn = ResponseRequest(request, ingress, call.options.model).read_turn
    return await respond_with_count(request, call, ingress.model, read_turn, {"object": "response.input_tokens"})
