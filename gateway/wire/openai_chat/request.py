"""Encodes a Turn as the body of a chat completions request to a provider."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.message import Message, Text
from gateway.core.turn import NO_OPTIONS, NO_SAMPLING, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.efforts import ANY_EFFORT, LEVELS_WITHOUT_EFFORT
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.cache import add_breakpoints
from gateway.wire.openai_chat.profile import Profile, profile_of
from gateway.wire.openai_chat.request_messages import encode_messages
from gateway.wire.openai_chat.thinking_format import write_effort
from gateway.wire.prompt_cache import RETENTION_PARAM, retention_of
from gateway.wire.system_messages import with_system_first
from gateway.wire.tool_pictures import pictures_after_results


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body. Only fields that the caller set are sent, so that the provider's own defaults apply.

    The cap on the answer is the caller's, clamped to the model's `maxTokens`; without the caller's cap, that maximum
    applies, as in OpenClaw.
    """
    profile = profile_of(model)
    body = _other_fields(turn, model, profile)
    body["model"] = model.id
    # A model without tool support may continue the conversation of a model with tools.
    messages: Sequence[Message] = turn.messages
    if not model.tools:
        messages = [message for message in messages if not message.hidden]
    if turn.has_tool_results():
        messages = list(pictures_after_results(messages, reads_images=model.images is not False))
    wanted = turn.sampling.response_format
    if wanted is not None and wanted.kind == "json_schema" and not profile.json_schema:
        messages = [Message("system", (Text(_schema_in_words(wanted)),)), *messages]
    if not profile.late_system:
        messages = with_system_first(messages)
    body["messages"] = encode_messages(messages, model)
    _add_sampling(body, turn.sampling, model, profile)
    if turn.tools and model.tools:
        _add_tools(body, turn.tools, turn.tool_choice, profile)
    else:  # the tools may have been left out; OpenAI refuses the field without any
        body.pop("parallel_tool_calls", None)
    if turn.stream:
        body["stream"] = True
        if profile.usage_in_streaming:
            body["stream_options"] = {"include_usage": True}
    if profile.adjusts_body:
        _adjust(body, turn, model, profile)
    return dumps(body)


def _adjust(body: dict[str, Any], turn: Turn, model: ModelSpec, profile: Profile) -> None:
    """What endpoints with quirks refuse or need beside the fields of the format."""
    if not profile.parallel_tool_calls:
        body.pop("parallel_tool_calls", None)
    if profile.tool_stream and turn.stream and "tools" in body:
        body.setdefault("tool_stream", True)
    if profile.cached_models is not None and model.id.startswith(profile.cached_models):
        body.pop("prompt_cache_retention", None)  # OpenAI's field for its own cache
        add_breakpoints(body, retention_of(turn, model))
    if profile.refuses_fields:
        _remove_refused(body, profile, model.params, turn.params)
    body.update(profile.routing)


def _other_fields(turn: Turn, model: ModelSpec, profile: Profile) -> dict[str, Any]:
    """The operator's fields, overridden by the client's unknown fields, overridden by the client's options."""
    body: dict[str, Any] = dict(model.params) if model.params else {}
    if turn.params:
        body.update(turn.params)
    if body:
        body.pop(RETENTION_PARAM, None)
    if turn.extras.fields and profile.unknown_fields:
        body.update(turn.extras.of(WIRE))
    if turn.options is not NO_OPTIONS:
        for name, option in OPTIONS.items():
            if (value := getattr(turn.options, option)) is not None:
                body[name] = value
    if profile.thinking_format != "openai":
        write_effort(body, turn, profile.thinking_format, profile.efforts)
    elif profile.efforts is ANY_EFFORT:
        if turn.options.effort in LEVELS_WITHOUT_EFFORT:
            body["reasoning_effort"] = LEVELS_WITHOUT_EFFORT[turn.options.effort]
    elif isinstance(effort := body.get("reasoning_effort"), str):
        if profile.efforts.accepted:
            body["reasoning_effort"] = profile.efforts.of(effort)
        else:
            del body["reasoning_effort"]
    return body


def _remove_refused(body: dict[str, Any], profile: Profile, *operator: Mapping[str, Any] | None) -> None:
    """Remove fields that the endpoint refuses, unless the operator has configured them."""
    refused: set[str] = set()
    if not profile.store:
        refused.add("store")
    if not profile.cache_key:
        refused.update(_CACHE_FIELDS)
    if not profile.unknown_fields:
        refused.update(OPTIONS.keys() - _KNOWN_TO_ALL)
    for name in refused:
        if not any(params and name in params for params in operator):
            body.pop(name, None)


_CACHE_FIELDS = ("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
_KNOWN_TO_ALL = frozenset({"reasoning_effort", "parallel_tool_calls", "metadata"})
"""Options that also an endpoint knows which refuses unknown fields; other quirks say whether it does."""


def _add_sampling(body: dict[str, Any], sampling: Sampling, model: ModelSpec, profile: Profile) -> None:
    if sampling.max_tokens is not None:
        body[profile.max_tokens_field] = model.clamp(sampling.max_tokens)
    elif model.max_tokens is not None:
        body[profile.max_tokens_field] = model.max_tokens
    if sampling is NO_SAMPLING:
        return
    if profile.temperature:
        for field in _SAMPLING:
            if (value := getattr(sampling, field)) is not None:
                body[field] = value
    if sampling.seed is not None:
        body[profile.seed_field] = sampling.seed
    if sampling.stop:
        body["stop"] = sampling.stop
    if (wanted := sampling.response_format) is not None:
        if wanted.kind == "json_schema" and not profile.json_schema:
            body["response_format"] = {"type": "json_object"}
        else:
            body["response_format"] = _response_format(wanted, strict=not profile.unknown_fields)


_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")

OPTIONS = {
    "reasoning_effort": "effort",
    "verbosity": "verbosity",
    "parallel_tool_calls": "parallel_tool_calls",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "top_k": "top_k",
    "service_tier": "service_tier",
    "prompt_cache_key": "cache_key",
    "prompt_cache_retention": "cache_retention",
    "safety_identifier": "end_user",
    "metadata": "metadata",
}
"""The format's name → the field of Options. It has no field for a reasoning summary or budget: both are dropped, but a
`thinking_format` may use the budget.
"""


def _response_format(wanted: ResponseFormat, *, strict: bool) -> dict[str, Any]:
    """`response_format`; `strict`: without fields beside the schema that the format does not define."""
    if wanted.schema is None:
        return {"type": wanted.kind}
    schema = wanted.schema
    given = {name: schema[name] for name in schema if schema[name] is not None and (name in _FORM or not strict)}
    return {"type": wanted.kind, "json_schema": given}


_FORM = frozenset({"name", "description", "schema", "strict"})


def _schema_in_words(wanted: ResponseFormat) -> str:
    schema = dumps((wanted.schema or {}).get("schema")).decode()
    return f"Answer with one JSON object and nothing else. It must match this JSON Schema: {schema}"


def _add_tools(body: dict[str, Any], tools: Iterable[ToolSpec], choice: ToolChoice | None, profile: Profile) -> None:
    """Offer all tools where the endpoint understands `tool_choice`: a prompt cache begins with them, and some servers
    refuse calls in the history without them. Elsewhere only the tools that may be called.
    """
    if choice is not None and not profile.tool_choice:
        if choice.mode == "none":
            body.pop("parallel_tool_calls", None)
            return
        tools = [tool for tool in tools if choice.name in (None, tool.name)]
    body["tools"] = [_tool(tool, profile) for tool in tools]
    if choice is None or not profile.tool_choice:
        return
    if choice.mode == "none":
        body.pop("parallel_tool_calls", None)
    if choice.mode == "pinned":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        body["tool_choice"] = choice.mode


def _tool(tool: ToolSpec, profile: Profile) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None and profile.strict_tools:
        function["strict"] = tool.strict
    if profile.strict_messages:
        return {"type": "function", "function": function}
    function.update(tool.extras.of(WIRE))
    return {"type": "function", "function": function, **tool.outer.of(WIRE)}
