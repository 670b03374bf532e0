"""`POST /v1/messages/count_tokens`: how many tokens a message would send to the model."""

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.core.token_estimate import prompt_tokens
from gateway.http.answers.message_request import MessageRequest
from gateway.http.errors import JSON
from gateway.http.keys import SNAPSHOT
from gateway.http.whole_response import WholeResponse
from gateway.runs.run import prepare


async def count_message_tokens(request: web.Request) -> web.StreamResponse:
    """Estimate the tokens of the message, the agent's prompt included. No provider is asked."""
    snapshot = request[SNAPSHOT]
    asked = await MessageRequest.read(request, counts=True)
    call = asked.call
    agent = snapshot.directory.resolve(asked.ingress.model, call.options.agent, call.principal)
    turn = await asked.read_turn(agent)
    run = await prepare(agent, turn, call.options, snapshot.runs, client=call.client)
    return WholeResponse(dumps({"input_tokens": prompt_tokens(run.turn)}), {"Content-Type": JSON})
