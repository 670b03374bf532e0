"""Each endpoint's request model, parameters and response schema, for the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gateway.http.endpoints.budgets import FILTERS, MAX_BUDGETS, list_budgets
from gateway.http.endpoints.chat_completions import chat_completions
from gateway.http.endpoints.compact_response import compact_response
from gateway.http.endpoints.configuration import get_configuration, reload_configuration
from gateway.http.endpoints.doctor import doctor, doctor_stream
from gateway.http.endpoints.embeddings import embeddings
from gateway.http.endpoints.input_tokens import input_tokens
from gateway.http.endpoints.keys import KeyRequest, create_key, list_keys, revoke_key
from gateway.http.endpoints.locks import list_locks, release_lock
from gateway.http.endpoints.message_tokens import count_message_tokens
from gateway.http.endpoints.messages import messages
from gateway.http.endpoints.metrics import metrics
from gateway.http.endpoints.models import ANTHROPIC_VERSION, LIFECYCLES, MAX_LIMIT, get_model, list_models
from gateway.http.endpoints.responses import responses
from gateway.http.endpoints.sessions import delete_session, export_session, get_session, list_sessions
from gateway.http.endpoints.status import status
from gateway.http.endpoints.stored_response import cancel_response, get_response, list_input_items
from gateway.http.endpoints.usage import AGE, FORMATS, MAX_COLUMNS, TIME, usage
from gateway.http.operator_schemas import CONFIGURATION, DOCTOR, STATUS
from gateway.http.routes import Handler
from gateway.ledger.report import DIMENSIONS
from gateway.wire.anthropic_messages.schema import CountRequest, MessagesRequest
from gateway.wire.openai_chat.schema import OBJECT, ChatRequest, EmbeddingsRequest
from gateway.wire.openai_responses.schema import ResponsesRequest

_OBJECT: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query or a header. `values` are the allowed values, or a number's minimum and maximum;
    `pattern` is a regular expression for the whole text.
    """

    name: str
    type: Literal["string", "integer", "boolean"]
    location: Literal["query", "header"] = "query"
    description: str = ""
    values: tuple[str, ...] | tuple[int, int] | None = None
    required: bool = False
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint. `body` is the model of its request body, `required` are the required fields of the body.

    `texts` are further content types of the response. `streams` is True if the response may be a stream of events,
    `finds` if a parameter names an object, which may not exist.
    """

    body: type[msgspec.Struct] | None = None
    parameters: tuple[Parameter, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=lambda: _OBJECT)
    content: str = "application/json"
    texts: tuple[str, ...] = ()
    streams: bool = False
    required: tuple[str, ...] = ()
    finds: bool = False


_RUN = (
    Parameter(
        "x-openclaw-model", "string", "header", "`provider/model` instead of the agent's own; needs operator.admin"
    ),
    Parameter("x-openclaw-agent-id", "string", "header", "the agent, instead of the one in `model`"),
    Parameter("x-openclaw-session-key", "string", "header", "the conversation that the request belongs to"),
    Parameter("x-openclaw-message-channel", "string", "header", "the channel that the agent's prompt sees"),
)
_PAGE = (
    Parameter("limit", "integer", description="items", values=(1, 100)),
    Parameter("order", "string", description="newest first, or oldest first", values=("desc", "asc")),
    Parameter("after", "string", description="the id of the last item seen"),
)
_RESUME = (
    Parameter("stream", "boolean", description="the events of a response in the background"),
    Parameter(
        "starting_after", "integer", description="the `sequence_number` of the last event seen", values=(0, 999_999_999)
    ),
)
_ANTHROPIC = Parameter(
    ANTHROPIC_VERSION, "string", "header", "any value: the answer, errors too, has the form of Anthropic's API"
)
_MODELS_PAGE = (
    Parameter("limit", "integer", description="models; for Anthropic's clients, as all below", values=(1, MAX_LIMIT)),
    Parameter("after_id", "string", description="the `last_id` of the page before"),
    Parameter("before_id", "string", description="the `first_id` of the page after"),
    Parameter("lifecycle", "string", description="only models in this stage; several may be given", values=LIFECYCLES),
)


_NAMES = "|".join(DIMENSIONS)
_WHEN = f"^({AGE.pattern}|{TIME.pattern})$"

_SESSION: Mapping[str, Any] = {
    "type": "object",
    "required": ["object", "key"],
    "properties": {"object": {"const": "session"}, "key": {"type": "string"}},
}


_MODEL: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "id", "display_name", "created_at"],
    "properties": {"type": {"const": "model"}, "id": {"type": "string"}},
}
_MODELS: Mapping[str, Any] = {
    "type": "object",
    "required": ["data", "has_more", "first_id", "last_id"],
    "properties": {"data": {"type": "array", "items": _MODEL}, "has_more": {"type": "boolean"}},
    "description": "A page of Anthropic's form.",
}
_MESSAGE: Mapping[str, Any] = {
    "type": "object",
    "required": ["id", "type", "role", "content", "stop_reason", "usage"],
    "properties": {"id": {"type": "string"}, "type": {"const": "message"}, "content": {"type": "array"}},
}


def _list_of(kind: str) -> dict[str, Any]:
    fields = {"object": {"const": "list"}, "data": {"type": "array", "items": {"type": "object"}}}
    return {"type": "object", "required": ["object", "data"], "properties": fields, "description": f"A list of {kind}."}


def _object_of(kind: str) -> dict[str, Any]:
    fields = {"id": {"type": "string"}, "object": {"const": kind}}
    return {"type": "object", "required": ["id", "object"], "properties": fields}


OPERATIONS: Mapping[Handler, Operation] = {
    chat_completions: Operation(ChatRequest, _RUN, _object_of(OBJECT), streams=True, required=("messages",)),
    responses: Operation(ResponsesRequest, _RUN, _object_of("response"), streams=True, required=("model", "input")),
    compact_response: Operation(ResponsesRequest, _RUN, _object_of("response.compaction"), required=("model", "input")),
    input_tokens: Operation(
        ResponsesRequest,
        _RUN,
        {"type": "object", "required": ["object", "input_tokens"], "properties": {"input_tokens": {"type": "integer"}}},
        required=("model", "input"),
    ),
    messages: Operation(MessagesRequest, _RUN, _MESSAGE, streams=True, required=("model", "messages", "max_tokens")),
    count_message_tokens: Operation(
        CountRequest,
        _RUN,
        {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": {"type": "integer"}}},
        required=("model", "messages"),
    ),
    get_response: Operation(None, _RESUME, _object_of("response"), streams=True),
    cancel_response: Operation(answer=_object_of("response")),
    list_input_items: Operation(None, _PAGE, _list_of("input items")),
    embeddings: Operation(EmbeddingsRequest, _RUN[:2], _list_of("embeddings"), required=("model", "input")),
    list_models: Operation(None, (_ANTHROPIC, *_MODELS_PAGE), {"anyOf": [_list_of("models"), _MODELS]}),
    get_model: Operation(None, (_ANTHROPIC,), {"anyOf": [_object_of("model"), _MODEL]}),
    get_configuration: Operation(answer=CONFIGURATION),
    reload_configuration: Operation(answer=CONFIGURATION),
    status: Operation(answer=STATUS),
    doctor: Operation(
        None,
        (
            Parameter("only", "string", description="ids of findings or groups such as `redis`, with commas"),
            Parameter("deep", "boolean", description="also what takes seconds or writes a key of Redis for a moment"),
        ),
        DOCTOR,
    ),
    doctor_stream: Operation(
        answer={"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}},
        content="text/event-stream",
    ),
    metrics: Operation(
        answer={"type": "string", "description": "Prometheus' text format 0.0.4."}, content="text/plain"
    ),
    list_locks: Operation(answer=_list_of("locked clients")),
    release_lock: Operation(
        None,
        (Parameter("key", "string", description="an address, or a key of the list", required=True),),
        {"type": "object", "required": ["object", "key", "released", "pending"]},
        finds=True,
    ),
    list_keys: Operation(
        None,
        (
            Parameter("limit", "integer", description="keys", values=(1, 1000)),
            Parameter("after", "string", description="the `next` of the page before"),
        ),
        _list_of("client keys"),
    ),
    create_key: Operation(
        KeyRequest, answer={"type": "object", "required": ["object", "name", "key"]}, required=("name",)
    ),
    revoke_key: Operation(answer={"type": "object", "required": ["object", "name", "deleted", "pending"]}),
    usage: Operation(
        None,
        (
            Parameter(
                "by",
                "string",
                description=f"`row`, or up to three different ones of {', '.join(DIMENSIONS)}",
                pattern=f"^(row|({_NAMES})(,({_NAMES})){{0,{MAX_COLUMNS - 1}}})$",
            ),
            Parameter(
                "since", "string", description="an age such as `7d`, `12h` or `30m`, or Unix seconds", pattern=_WHEN
            ),
            Parameter("until", "string", description="the same; now without it", pattern=_WHEN),
            Parameter("format", "string", description="instead of the header Accept", values=FORMATS),
        ),
        {"type": "object", "required": ["object", "data", "total", "lost_rows", "unwritten_rows"]},
        texts=("text/csv", "application/jsonl"),
    ),
    list_budgets: Operation(
        None,
        (
            Parameter("limit", "integer", description="budgets", values=(1, MAX_BUDGETS)),
            *(Parameter(name, "string", description=f"only those with this {name}") for name in FILTERS),
        ),
        _list_of("budgets"),
    ),
    list_sessions: Operation(
        None,
        (
            Parameter("limit", "integer", description="conversations", values=(1, 1000)),
            Parameter("after", "string", description="the `next` of the page before"),
        ),
        _list_of("sessions"),
    ),
    get_session: Operation(answer=_SESSION),
    export_session: Operation(
        answer={"type": "string", "description": "An entry a line."}, content="application/jsonl"
    ),
    delete_session: Operation(answer={"type": "object", "required": ["object", "key", "deleted"]}),
}
"""Operations by handler. A handler without a row has no parameters and returns a JSON object."""
