"""The `response` object and its items, for whole answers and streams; all of OpenAI's fields are present."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from gateway.core.errors import GatewayError, ToolChoiceUnmet
from gateway.core.event import FinishReason
from gateway.core.message import Citation, Foreign, ToolCall
from gateway.core.message_json import write_extras
from gateway.core.seal import Seal
from gateway.core.usage import Usage
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.client_tools import call_fields
from gateway.wire.openai_responses.item_id import output_id

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
Phase = Literal["commentary", "final_answer"]

_INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Head(Struct, frozen=True):
    """The constant fields of one response; `created` in Unix seconds, `echo` from the ingress.

    With a `seal`, reasoning items include `encrypted_content`.
    """

    id: str
    created: int
    model: str
    echo: Mapping[str, Any]
    seal: Seal | None = None


def head_of(response: Mapping[str, Any], *, seal: Seal | None) -> Head:
    """The head of a response object that this module built."""
    echo = {name: value for name, value in response.items() if name not in _OWN_FIELDS}
    return Head(response["id"], response["created_at"], response["model"], echo, seal)


_OWN_FIELDS = frozenset(
    ("id", "object", "created_at", "completed_at", "status", "model", "output", "usage", "error", "incomplete_details")
)


def status_of(finish: FinishReason) -> Status:
    """`incomplete` when the token cap or a content filter ended the answer, else `completed`, also for tool calls."""
    return "incomplete" if finish in _INCOMPLETE else "completed"


def response_object(
    head: Head,
    status: Status,
    output: Sequence[Mapping[str, Any]],
    *,
    finish: FinishReason = "stop",
    usage: Usage | None = None,
    error: GatewayError | None = None,
    completed: int | None = None,
) -> dict[str, Any]:
    """One response; `usage` None before it is known, `completed` the Unix seconds of a success."""
    reason = _INCOMPLETE.get(finish)
    if usage is None and isinstance(error, ToolChoiceUnmet):
        usage = error.usage
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "completed_at": completed,
        "status": status,
        "model": head.model,
        "output": output,
        "usage": None if usage is None else usage_object(usage),
        "error": None if error is None else error_object(error),
        "incomplete_details": None if reason is None else {"reason": reason},
        **head.echo,
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """Token counts; both details are always present, as in OpenClaw."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": usage.total,
    }


def error_object(error: GatewayError) -> dict[str, Any]:
    """`error` of a failed response: the error's own code, else OpenAI's code for its status."""
    kind = "rate_limit_exceeded" if error.status == 429 else "invalid_prompt" if error.status < 500 else "server_error"
    return {"code": error.code or kind, "message": error.message, "type": error.type, "param": error.param}


def message_item(
    id: str,  # noqa: A002  the field's name
    status: Status,
    content: Sequence[Mapping[str, Any]],
    phase: Phase | None = None,
) -> dict[str, Any]:
    """The assistant's message; `phase` tells whether calls follow it, None until that is known."""
    item = {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}
    return item if phase is None else {**item, "phase": phase}


def call_item(id: str, status: Status, call: ToolCall) -> dict[str, Any]:  # noqa: A002  the field's name
    """A call of a client's tool; `call_id` is the provider's id, which the call's output must name.

    The provider's own fields go to `extras`, next to OpenAI's fields: clients send items back unchanged.
    """
    item: dict[str, Any] = {"id": id, "status": status, **call_fields(call)}
    if call.extras.fields:
        item["extras"] = write_extras(call.extras)
    return item


def foreign_item(part: Foreign, response: str, index: int) -> dict[str, Any] | None:
    """An item of this format that a provider of it sent, such as `web_search_call`; None for other parts."""
    own = part.payload.get(ITEM) if part.wire == WIRE else None
    if not isinstance(own, dict):
        return None
    return {**own, "id": output_id(_PREFIXES.get(own["type"], "item"), response, index)}


_PREFIXES = {
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "compaction": "cmp",
}


def text_part(text: str, logprobs: Sequence[Any] = (), annotations: Sequence[Any] = ()) -> dict[str, Any]:
    """A text part of a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def annotation(citation: Citation) -> dict[str, Any]:
    """A citation in a message's text."""
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }


def refusal_part(refusal: str) -> dict[str, Any]:
    """A refusal part of a message."""
    return {"type": "refusal", "refusal": refusal}
