"""`POST /v1/messages/count_tokens`: how many tokens a message would send to the model."""

from aiohttp import web

from gateway.http.answers.message_request import MessageRequest
from gateway.http.answers.token_count import respond_with_count


async def count_message_tokens(request: web.Request) -> web.StreamResponse:
    """Count the tokens of the message, the agent's prompt included: by the provider if it can, else estimated."""
    asked = await MessageRequest.read(request, counts=True)
    return await respond_with_count(request, asked.call, asked.ingress.model, asked.read_turn, {})
