"""What each endpoint takes and gives, for the OpenAPI document: model of the body, parameters, shape of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gateway.http.handlers.chat_completions import chat_completions
from gateway.http.handlers.embeddings import embeddings
from gateway.http.handlers.locks import list_locks, release_lock
from gateway.http.handlers.models import get_model, list_models
from gateway.http.handlers.responses import responses
from gateway.http.handlers.sessions import delete_session, export_session, get_session, list_sessions
from gateway.http.handlers.stored_response import cancel_response, get_response, list_input_items
from gateway.http.routes import Handler
from gateway.wire.openai_completions.schema import ChatRequest, EmbeddingsRequest
from gateway.wire.openai_responses.schema import ResponsesRequest

_OBJECT: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query or a header; `among` are the only values, or the least and the most of a number."""

    name: str
    type: Literal["string", "integer", "boolean"]
    place: Literal["query", "header"] = "query"
    said: str = ""
    among: tuple[str, ...] | tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint; `body` is the model that reads its body, `needs` its fields that must be there.

    `streams` says whether it may answer with events.
    """

    body: type[msgspec.Struct] | None = None
    parameters: tuple[Parameter, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=lambda: _OBJECT)
    content: str = "application/json"
    streams: bool = False
    needs: tuple[str, ...] = ()


_RUN = (
    Parameter(
        "x-openclaw-model", "string", "header", "`provider/model` instead of the agent's own; needs operator.admin"
    ),
    Parameter("x-openclaw-agent-id", "string", "header", "the agent, instead of the one in `model`"),
    Parameter("x-openclaw-session-key", "string", "header", "the conversation that the request belongs to"),
    Parameter("x-openclaw-message-channel", "string", "header", "the channel that the agent's prompt sees"),
)
_PAGE = (
    Parameter("limit", "integer", said="items", among=(1, 100)),
    Parameter("order", "string", said="newest first, or oldest first", among=("desc", "asc")),
    Parameter("after", "string", said="the id of the last item seen"),
)
_RESUME = (
    Parameter("stream", "boolean", said="the events of a response in the background"),
    Parameter("starting_after", "integer", said="the `sequence_number` of the last event seen", among=(0, 999_999_999)),
)


_SESSION: Mapping[str, Any] = {
    "type": "object",
    "required": ["object", "key"],
    "properties": {"object": {"const": "session"}, "key": {"type": "string"}},
}


def _listed(kind: str) -> dict[str, Any]:
    listed = {"object": {"const": "list"}, "data": {"type": "array", "items": {"type": "object"}}}
    return {"type": "object", "required": ["object", "data"], "properties": listed, "description": f"A list of {kind}."}


def _named(kind: str) -> dict[str, Any]:
    named = {"id": {"type": "string"}, "object": {"const": kind}}
    return {"type": "object", "required": ["id", "object"], "properties": named}


OPERATIONS: Mapping[Handler, Operation] = {
    chat_completions: Operation(ChatRequest, _RUN, _named("chat.completion"), streams=True, needs=("messages",)),
    responses: Operation(ResponsesRequest, _RUN, _named("response"), streams=True, needs=("model", "input")),
    get_response: Operation(None, _RESUME, _named("response"), streams=True),
    cancel_response: Operation(answer=_named("response")),
    list_input_items: Operation(None, _PAGE, _listed("input items")),
    embeddings: Operation(EmbeddingsRequest, _RUN[:2], _listed("embeddings"), needs=("model", "input")),
    list_models: Operation(answer=_listed("models")),
    get_model: Operation(answer=_named("model")),
    list_locks: Operation(answer=_listed("locked clients")),
    release_lock: Operation(
        None,
        (Parameter("key", "string", said="an address, or a key of the list"),),
        {"type": "object", "required": ["object", "key", "released"]},
    ),
    list_sessions: Operation(
        None,
        (
            Parameter("limit", "integer", said="conversations, 1 to 1000"),
            Parameter("after", "string", said="the `next` of the page before"),
        ),
        _listed("sessions"),
    ),
    get_session: Operation(answer=_SESSION),
    export_session: Operation(
        answer={"type": "string", "description": "An entry a line."}, content="application/jsonl"
    ),
    delete_session: Operation(answer={"type": "object", "required": ["object", "key", "deleted"]}),
}
"""By handler; what is not here takes nothing and answers with a JSON object."""
