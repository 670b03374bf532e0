"""Settings of a client's request that chat providers know by another name: the answer's form, effort, and the rest."""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import NO_EXTRAS, Extras
from gateway.wire.openai_responses.schema import ResponsesRequest

_CHAT = "openai-completions"
_LOGPROBS = "message.output_text.logprobs"
_SAME_NAME = ("service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier")


def response_format(request: ResponsesRequest) -> Mapping[str, Any] | None:
    """`text.format` in the chat API's form, None for plain text. Raises BadRequest."""
    wanted = request.text.format if request.text else None
    kind = wanted.get("type") if wanted else None
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        raise BadRequest("`text.format.type`: must be text, json_object or json_schema.", param="text.format.type")
    if not isinstance(wanted.get("name"), str) or not wanted["name"]:
        raise BadRequest("`text.format.name`: must be a non-empty string.", param="text.format.name")
    if not isinstance(wanted.get("schema"), dict):
        raise BadRequest("`text.format.schema`: must be an object.", param="text.format.schema")
    schema = {key: wanted[key] for key in ("name", "description", "schema", "strict") if wanted.get(key) is not None}
    return {"type": "json_schema", "json_schema": schema}


def chat_extras(request: ResponsesRequest) -> Extras:
    """What else a chat provider understands, under its names there.

    `metadata` stays here: it labels the response, and OpenAI refuses it in chat unless the completion is stored.
    """
    fields: dict[str, Any] = {}
    if request.reasoning and request.reasoning.effort is not None:
        fields["reasoning_effort"] = request.reasoning.effort
    if request.text and request.text.verbosity is not None:
        fields["verbosity"] = request.text.verbosity
    if request.parallel_tool_calls is not None and request.tools:  # refused by OpenAI where there are no tools
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    if request.include and _LOGPROBS in request.include:
        fields["logprobs"] = True
        if request.top_logprobs is not None:
            fields["top_logprobs"] = request.top_logprobs
    for name in _SAME_NAME:
        if (value := getattr(request, name)) is not None:
            fields[name] = value
    return Extras(_CHAT, fields) if fields else NO_EXTRAS
