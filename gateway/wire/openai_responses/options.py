"""Decodes settings of a client's request into neutral options: response format, effort and others."""

from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.turn import NO_OPTIONS, Options, ResponseFormat
from gateway.wire.openai_responses.schema import ResponsesRequest

_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"


def response_format(request: ResponsesRequest) -> ResponseFormat | None:
    """`text.format`, None for plain text. Raises BadRequest."""
    wanted = request.text.format if request.text else None
    kind = wanted.get("type") if wanted else None
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat("json_object")
    if kind != "json_schema":
        raise BadRequest("`text.format.type`: must be text, json_object or json_schema.", param="text.format.type")
    if not isinstance(wanted.get("name"), str) or not wanted["name"]:
        raise BadRequest("`text.format.name`: must be a non-empty string.", param="text.format.name")
    if not isinstance(wanted.get("schema"), dict):
        raise BadRequest("`text.format.schema`: must be an object.", param="text.format.schema")
    schema = {key: wanted[key] for key in ("name", "description", "schema", "strict") if wanted.get(key) is not None}
    return ResponseFormat("json_schema", schema)


def options_of(request: ResponsesRequest) -> Options:
    """The request's options for the model besides sampling.

    `metadata` is not forwarded: it labels the response, which the gateway stores.
    """
    options: dict[str, Any] = {
        "service_tier": request.service_tier,
        "cache_key": request.prompt_cache_key,
        "cache_retention": request.prompt_cache_retention,
        "end_user": request.safety_identifier,
    }
    if request.reasoning:
        options |= {"effort": request.reasoning.effort, "summary": request.reasoning.summary}
    if request.text:
        options["verbosity"] = request.text.verbosity
    if request.tools:  # OpenAI refuses the field without tools
        options["parallel_tool_calls"] = request.parallel_tool_calls
    if request.include and _LOGPROBS in request.include:
        options |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    set_options = {name: value for name, value in options.items() if value is not None}
    return Options(**set_options) if set_options else NO_OPTIONS


def wants_encrypted_reasoning(request: ResponsesRequest) -> bool:
    """Whether reasoning items include `encrypted_content`, for clients that send their reasoning back."""
    return _ENCRYPTED in (request.include or ())
