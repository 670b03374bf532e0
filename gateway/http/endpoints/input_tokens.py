"""`POST /v1/responses/input_tokens`: how many tokens a request would send to the model."""

from functools import partial

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.core.token_estimate import prompt_tokens
from gateway.http.answers.response_request import ResponseRequest
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.errors import JSON
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import decoded
from gateway.http.routes import RESPONSES_BODY
from gateway.http.whole_response import WholeResponse
from gateway.runs.run import prepare
from gateway.wire.openai_responses.ingress import ResponsesIngress


async def input_tokens(request: web.Request) -> web.StreamResponse:
    """Estimate the tokens of the request, the agent's prompt included. No provider is asked."""
    snapshot = request[SNAPSHOT]
    body = await read_body(request, RESPONSES_BODY, snapshot.body_timeout)
    call = call_of(request, body, "openresponses")
    ingress = await decoded(request, partial(ResponsesIngress.read, body))
    agent = snapshot.directory.resolve(ingress.model, call.options.agent, call.principal)
    turn = await ResponseRequest(request, ingress, call.options.model).read_turn(agent)
    run = await prepare(agent, turn, call.options, snapshot.runs, client=call.client)
    counted = {"object": "response.input_tokens", "input_tokens": prompt_tokens(run.turn)}
    return WholeResponse(dumps(counted), {"Content-Type": JSON})
