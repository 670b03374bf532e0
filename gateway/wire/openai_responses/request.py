"""Encodes a Turn as the body of a Responses request to a provider.

The provider stores nothing: the gateway sends the whole conversation, and gets reasoning back encrypted. The format
has no penalties, seed, `top_k` and thinking budget: they are left out. It has no stop sequences either; see
`wire.stop_sequences`.
"""

import re
from collections.abc import Iterable
from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.message import Message, Owner, Thinking
from gateway.core.turn import ResponseFormat, ToolChoice, ToolSpec, Turn
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses import WIRE
from gateway.wire.openai_responses.profile import Profile, profile_of
from gateway.wire.openai_responses.request_items import encode_items
from gateway.wire.prompt_cache import RETENTION_PARAM
from gateway.wire.tool_pictures import pictures_after_results

_MIN_OUTPUT_TOKENS = 16  # OpenAI refuses less
_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_REASONING_MODELS = re.compile(r"(?:.*/)?(?:gpt-[5-9](?!.*chat)|o[1-9]\b|codex|computer-use)", re.IGNORECASE)
"""Ids of OpenAI's models that reason whether or not the request says so."""


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body."""
    return dumps(build_body(turn, model))


def build_body(turn: Turn, model: ModelSpec) -> dict[str, Any]:
    """The body. Only fields that the caller set are sent, so that the provider's own defaults apply.

    The cap on the answer is the caller's, clamped to the model's `maxTokens`; without the caller's cap, that maximum
    applies.
    """
    profile = profile_of(model)
    owner = Owner(WIRE, model.provider, model.id)
    body: dict[str, Any] = {**(model.params or {}), **(turn.params or {})}
    body.pop(RETENTION_PARAM, None)
    if (verbosity := body.pop("verbosity", None)) is not None:
        body["text"] = {"verbosity": verbosity, **(body.get("text") or {})}
    if profile.unknown_fields:
        body |= turn.extras.of(WIRE)
    body["model"] = model.id
    messages = turn.messages
    if not model.tools:
        messages = tuple(message for message in messages if not message.hidden)
    if model.images is False and turn.has_tool_results():
        messages = tuple(pictures_after_results(messages, reads_images=False))
    body["input"] = encode_items(messages, owner, profile)
    if profile.store:
        body.setdefault("store", False)
    reasons = _reasons(turn, model, owner)
    _add_options(body, turn, profile, reasons=reasons)
    _add_limits(body, turn, model, profile)
    _add_include(body, turn, reasons=reasons)
    if turn.tools:
        _add_tools(body, turn.tools, turn.tool_choice, turn.options.parallel_tool_calls, profile)
    if turn.stream:
        body["stream"] = True
    return body


_OPTIONS_BESIDE_CACHE = {
    "service_tier": "service_tier",
    "safety_identifier": "end_user",
    "metadata": "metadata",
}
_OPTIONS = _OPTIONS_BESIDE_CACHE | {"prompt_cache_key": "cache_key", "prompt_cache_retention": "cache_retention"}


def _add_options(body: dict[str, Any], turn: Turn, profile: Profile, *, reasons: bool) -> None:
    options = turn.options
    for name, option in (_OPTIONS if profile.cache_key else _OPTIONS_BESIDE_CACHE).items():
        if (value := getattr(options, option)) is not None:
            body[name] = value
    reasoning: dict[str, Any] = {}
    if options.effort is not None and profile.effort:
        reasoning["effort"] = profile.named_effort(options.effort)
    if options.summary is not None and reasons:  # Codex asks every model for one, and other models refuse that
        reasoning["summary"] = options.summary
    if reasoning:
        body["reasoning"] = {**(body.get("reasoning") or {}), **reasoning}
    text: dict[str, Any] = {}
    if turn.sampling.response_format is not None:
        text["format"] = _response_format(turn.sampling.response_format)
    if options.verbosity is not None:
        text["verbosity"] = options.verbosity
    if text:
        body["text"] = {**(body.get("text") or {}), **text}


def _add_limits(body: dict[str, Any], turn: Turn, model: ModelSpec, profile: Profile) -> None:
    sampling = turn.sampling
    limit = sampling.max_tokens
    if limit is not None:
        body["max_output_tokens"] = max(_MIN_OUTPUT_TOKENS, model.clamp(limit))
    elif model.max_tokens is not None:
        body.setdefault("max_output_tokens", model.max_tokens)
    if profile.temperature:
        if sampling.temperature is not None:
            body["temperature"] = sampling.temperature
        if sampling.top_p is not None:
            body["top_p"] = sampling.top_p
    if turn.options.logprobs and turn.options.top_logprobs is not None:
        body["top_logprobs"] = turn.options.top_logprobs


def _add_include(body: dict[str, Any], turn: Turn, *, reasons: bool) -> None:
    wanted: list[str] = list(body.get("include") or ())
    if reasons and body.get("store") is not True:
        wanted.append(_ENCRYPTED)
    if turn.options.logprobs:
        wanted.append(_LOGPROBS)
    if wanted:
        body["include"] = list(dict.fromkeys(wanted))


def _reasons(turn: Turn, model: ModelSpec, owner: Owner) -> bool:
    """Whether the model may reason: other models refuse a request for their reasoning."""
    if model.reasoning or turn.options.effort not in (None, "none") or _REASONING_MODELS.match(model.id):
        return True
    return any(_has_thinking_of(message, owner) for message in turn.messages if message.role == "assistant")


def _has_thinking_of(message: Message, owner: Owner) -> bool:
    return any(type(part) is Thinking and part.owner == owner for part in message.parts)


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": wanted.kind}
    return {"type": wanted.kind, "strict": False, **wanted.schema}


def _add_tools(
    body: dict[str, Any],
    tools: Iterable[ToolSpec],
    choice: ToolChoice | None,
    parallel: bool | None,
    profile: Profile,
) -> None:
    offered = encode_tools(tool for tool in tools if not tool.in_input)
    if offered:
        body["tools"] = offered
    if parallel is not None and profile.parallel_tool_calls:
        body["parallel_tool_calls"] = parallel
    if choice is not None and profile.tool_choice:
        body["tool_choice"] = encode_choice(choice)


def encode_tools(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """The tools in this format; those of one namespace are together in it."""
    encoded: list[dict[str, Any]] = []
    namespaces: dict[str, list[dict[str, Any]]] = {}
    for tool in tools:
        if tool.namespace is None:
            encoded.append(_tool(tool))
        elif tool.namespace in namespaces:
            namespaces[tool.namespace].append(_tool(tool))
        else:
            members = namespaces[tool.namespace] = [_tool(tool)]
            space = {"type": "namespace", "name": tool.namespace, "description": tool.namespace_description or ""}
            encoded.append({**space, "tools": members})
    return encoded


def _tool(tool: ToolSpec) -> dict[str, Any]:
    if tool.kind != "function":
        if own := tool.extras.of(WIRE):
            return dict(own)
        return {"type": "custom", "name": tool.name, "description": tool.description or ""}
    fields: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        fields["description"] = tool.description
    fields["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    fields["strict"] = bool(tool.strict)  # here the default is true, which changes what schemas are allowed
    return {**fields, **tool.extras.of(WIRE)}


def encode_choice(choice: ToolChoice) -> str | dict[str, Any]:
    """`tool_choice` in this format."""
    if choice.mode != "pinned":
        return choice.mode
    if choice.kind not in ("function", "custom"):
        return {"type": choice.name if choice.kind == "hosted" else choice.kind}
    fields = {"type": choice.kind, "name": choice.name}
    return fields if choice.namespace is None else {**fields, "namespace": choice.namespace}
