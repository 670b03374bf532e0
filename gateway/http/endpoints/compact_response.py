"""`POST /v1/responses/compact`: replaces a conversation by a summary that the agent's own model writes."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web
from msgspec import structs

from gateway.agents.agent import Agent
from gateway.conversations.summary import SUMMARY_REQUEST
from gateway.core.answer import Answer
from gateway.core.ids import new_id
from gateway.core.jsonio import dumps
from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.dispatch.dispatch import dispatch
from gateway.http.answers.relay import respond
from gateway.http.answers.response_request import ResponseRequest
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.keys import SNAPSHOT
from gateway.http.large_bodies import decoded
from gateway.http.routes import RESPONSES_BODY
from gateway.wire.contract import Renderer
from gateway.wire.openai_responses.compaction import compacted_object
from gateway.wire.openai_responses.ingress import ResponsesIngress


async def compact_response(request: web.Request) -> web.StreamResponse:
    """Summarise the input. The output replaces it in later requests: the user's messages and one `compaction` item."""
    body = await read_body(request, RESPONSES_BODY, request[SNAPSHOT].body_timeout)
    call = call_of(request, body, "openresponses")
    # A summary is no turn of a conversation, and the agent does no work for it.
    call = structs.replace(call, session=None, options=replace(call.options, tools=False))
    ingress = await decoded(request, partial(ResponsesIngress.read, body))
    response_request = ResponseRequest(request, ingress, call.options.model)

    async def read_turn(agent: Agent) -> Turn:
        turn = await response_request.read_turn(agent)
        asking = Message("user", (Text(SUMMARY_REQUEST),))
        options = structs.replace(turn.options, parallel_tool_calls=None)  # there are no tools
        return Turn(turn.model, (*turn.messages, asking), options=options)

    async with await dispatch(call, ingress.model, None, read_turn) as dispatched:
        renderer = _Compaction(new_id("resp_"), ingress)
        return await respond(request, dispatched, dispatched.stream, renderer)


class _Compaction:
    """Renders the summary; see AnswerRenderer. A compaction is never streamed."""

    def __init__(self, id: str, ingress: ResponsesIngress) -> None:  # noqa: A002  the field's name
        self._id = id
        self._ingress = ingress

    def stream(self, _model: str) -> Renderer:
        """See AnswerRenderer."""
        raise AssertionError("the turn of a compaction is not streamed")

    def body(self, answer: Answer, _model: str) -> bytes:
        """See AnswerRenderer. Raises UpstreamError if the model wrote nothing."""
        if not (answer.text or "").strip():
            raise UpstreamError(UpstreamKind.MALFORMED, "The model wrote no summary of the conversation.")
        items: list[dict[str, Any]] = self._ingress.input_items(self._id)
        return dumps(compacted_object(self._id, int(time.time()), items, answer))
