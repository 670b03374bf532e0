"""Encodes a Turn as the body of a request for content."""

from collections.abc import Mapping
from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.turn import ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.google_generative.contents import contents_of
from gateway.wire.google_generative.profile import generation_of, profile_of
from gateway.wire.google_generative.thinking import thinking_config
from gateway.wire.model import ModelSpec
from gateway.wire.prompt_cache import RETENTION_PARAM
from gateway.wire.schema_openapi import reduced
from gateway.wire.tool_demand import demand_of

_TOP_LEVEL = frozenset({
    "safetySettings", "cachedContent", "labels", "toolConfig", "tools", "generationConfig", "systemInstruction",
    "serviceTier", "store",
})  # fmt: skip
"""Fields beside the conversation; any other setting of an operator is one of `generationConfig`."""

_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_CAMEL = {"top_k": "topK", "max_tokens": "maxOutputTokens", "stop": "stopSequences"}
_EFFORTS = ("reasoning_effort", "reasoningEffort", "thinking")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "pinned": "ANY"}
_MAX_SEED = 2**31


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body."""
    return dumps(build_body(turn, model))


def build_body(turn: Turn, model: ModelSpec) -> dict[str, Any]:
    """The body; the path names the model.

    Only fields that the caller set are sent. The format has no field for parallel calls, a verbosity, metadata, a user,
    a service tier or a cache key: those are dropped.
    """
    generation = generation_of(model.id)
    body, config, effort = _operator_fields(turn, model)
    messages = turn.messages if model.tools else tuple(message for message in turn.messages if not message.hidden)
    system, body["contents"] = contents_of(messages, model)
    form = turn.sampling.response_format
    demand = demand_in_words(turn, model)
    if turn.tools and model.tools:
        _add_tools(body, turn.tools, turn.tool_choice if demand is None else None)
    if demand is not None:
        system.append({"text": demand})
    if form is not None and form.kind != "text":
        if "tools" in body and not generation.schema_with_tools:
            system.append({"text": _form_in_words(form)})  # these models refuse a schema together with tools
        else:
            _add_form(config, form)
    if system:
        body["systemInstruction"] = {"parts": system}
    _add_sampling(config, turn.sampling, model)
    options = turn.options
    if options.top_k is not None and profile_of(model).sampling:
        config["topK"] = options.top_k
    if options.logprobs:
        config["responseLogprobs"] = True
        if options.top_logprobs:
            config["logprobs"] = options.top_logprobs
    thinking = thinking_config(options, model, effort)
    if thinking is not None:
        config["thinkingConfig"] = {**config.get("thinkingConfig", {}), **thinking}
    if config:
        body["generationConfig"] = config
    return body


def demand_in_words(turn: Turn, model: ModelSpec) -> str | None:
    """The instruction that stands in for a demanded call, for a model that can't be forced; else None."""
    return None if profile_of(model).tool_choice else demand_of(turn.tool_choice)


def _operator_fields(turn: Turn, model: ModelSpec) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """The operator's settings: those beside `generationConfig`, those in it, and an effort."""
    body: dict[str, Any] = {}
    config: dict[str, Any] = {}
    effort: str | None = None
    for params in (model.params, turn.params):
        for name, value in (params or {}).items():
            if name == "generationConfig" and isinstance(value, Mapping):
                config.update(value)
            elif name in _EFFORTS:
                effort = value if isinstance(value, str) else effort
            elif name in _TOP_LEVEL:
                body[name] = value
            elif name != RETENTION_PARAM:
                config[_CAMEL.get(name, name)] = value
    return body, config, effort


def _add_sampling(config: dict[str, Any], sampling: Sampling, model: ModelSpec) -> None:
    if sampling.max_tokens is not None:
        config["maxOutputTokens"] = model.clamp(sampling.max_tokens)
    elif model.max_tokens is not None:
        config["maxOutputTokens"] = model.max_tokens
    for name, theirs in _SAMPLING.items() if profile_of(model).sampling else ():
        if (value := getattr(sampling, name)) is not None:
            config[theirs] = value
    if sampling.seed is not None:
        config["seed"] = sampling.seed % _MAX_SEED  # a signed 32-bit number there
    if sampling.stop:
        config["stopSequences"] = sampling.stop


def _add_form(config: dict[str, Any], form: ResponseFormat) -> None:
    config["responseMimeType"] = "application/json"
    schema = (form.schema or {}).get("schema")
    if form.kind == "json_schema" and isinstance(schema, Mapping):
        config["responseSchema"] = reduced(schema, "response_format")


def _form_in_words(form: ResponseFormat) -> str:
    schema = (form.schema or {}).get("schema")
    if form.kind != "json_schema" or not isinstance(schema, Mapping):
        return "Answer with one JSON object and nothing else, unless you call a tool."
    text = dumps(schema).decode()
    return f"Answer with JSON that matches this schema and with nothing else, unless you call a tool: {text}"


def _add_tools(body: dict[str, Any], tools: tuple[ToolSpec, ...], choice: ToolChoice | None) -> None:
    declarations = [_declaration(tool) for tool in tools]
    own = body.get("tools")
    body["tools"] = [*(own if isinstance(own, list) else ()), {"functionDeclarations": declarations}]
    if choice is None:
        return
    calling: dict[str, Any] = {"mode": _MODES[choice.mode]}
    if choice.mode == "pinned":
        calling["allowedFunctionNames"] = [choice.name]
    configured = body.get("toolConfig")
    body["toolConfig"] = {**(configured if isinstance(configured, dict) else {}), "functionCallingConfig": calling}


def _declaration(tool: ToolSpec) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.parameters:
        parameters = reduced(tool.parameters, tool.name)
        parameters["type"] = "object"
        # An object without properties is refused; a function without parameters has no schema.
        if parameters.get("properties") or parameters.get("anyOf"):
            declaration["parameters"] = parameters
    return declaration
