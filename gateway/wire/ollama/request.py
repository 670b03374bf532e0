"""Encodes a Turn as the body of a request to Ollama's `/api/chat`."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from gateway.core.jsonio import dumps
from gateway.core.message import Message, Text
from gateway.core.turn import ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.messages import messages_of
from gateway.wire.ollama.profile import profile_of, think_of
from gateway.wire.prompt_cache import RETENTION_PARAM
from gateway.wire.schema_refs import inlined
from gateway.wire.tool_demand import demand_of

log = structlog.get_logger(__name__)

_TOP_LEVEL = frozenset({
    "options", "format", "think", "keep_alive", "truncate", "shift", "logprobs", "top_logprobs", "template", "system",
    "raw",
})  # fmt: skip
"""Fields beside the conversation; any other setting of an operator is one of `options`."""

_RENAMED = {"keepAlive": "keep_alive", "numCtx": "num_ctx", "thinking": "think", "reasoning_effort": "think"}


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body.

    An overflow of the context has to be an error, so that another model can be asked: by default Ollama drops the
    beginning of the conversation silently (`truncate`, `shift`). The size of the context is the model's
    `contextTokens`, unless its `params` set `num_ctx`: Ollama's own default is a fraction of what models can read.

    Ollama has no `tool_choice`: with `none` it gets no tools, a demanded call is asked for in words. It has no field
    for parallel calls, a verbosity, a service tier, metadata, a user or a cache key: those are dropped.
    """
    body = _operator_fields(turn, model)
    body["model"] = model.id
    body["stream"] = turn.stream
    choice = turn.tool_choice
    messages = turn.messages if model.tools else tuple(message for message in turn.messages if not message.hidden)
    demand = demand_of(choice)
    if demand is not None:
        messages = with_instruction(messages, demand)
    body["messages"] = messages_of(messages, model)
    if turn.tools and model.tools and (choice is None or choice.mode != "none"):
        body["tools"] = _tools(turn.tools, choice)
    options = _options(turn.sampling, model)
    if turn.options.top_k is not None and profile_of(model).sampling:
        options["top_k"] = turn.options.top_k
    if options:
        body["options"] = {**body.get("options", {}), **options}
    if model.context_window is not None:
        body["options"] = {"num_ctx": model.context_window, **body.get("options", {})}
    if turn.sampling.response_format is not None and (form := _form(turn.sampling.response_format)) is not None:
        body["format"] = form
    _add_thinking(body, turn, model)
    if turn.options.logprobs is not None:
        body["logprobs"] = turn.options.logprobs
    if turn.options.top_logprobs is not None:
        body["top_logprobs"] = turn.options.top_logprobs
    return dumps(body)


def _operator_fields(turn: Turn, model: ModelSpec) -> dict[str, Any]:
    """The operator's settings: those that Ollama knows beside `options`, and the others in there."""
    body: dict[str, Any] = {"truncate": False, "shift": False}
    options: dict[str, Any] = {}
    for params in (model.params, turn.params):
        for given, value in (params or {}).items():
            name = _RENAMED.get(given, given)
            if name == "options" and isinstance(value, Mapping):
                options.update(value)
            elif name in _TOP_LEVEL:
                body[name] = value
            elif name != RETENTION_PARAM:
                options[name] = value
    if options:
        body["options"] = options
    return body


_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


def _options(sampling: Sampling, model: ModelSpec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if sampling.max_tokens is not None:
        options["num_predict"] = model.clamp(sampling.max_tokens)
    elif model.max_tokens is not None:
        options["num_predict"] = model.max_tokens
    for name in (*(_SAMPLING if profile_of(model).sampling else ()), "seed"):
        if (value := getattr(sampling, name)) is not None:
            options[name] = value
    if sampling.stop:
        options["stop"] = sampling.stop
    return options


def _form(wanted: ResponseFormat) -> Any:
    """`format`: "json", or a schema; None for text."""
    if wanted.kind == "json_object":
        return "json"
    schema = (wanted.schema or {}).get("schema")
    if wanted.kind == "json_schema":
        return inlined(schema) if isinstance(schema, Mapping) else "json"
    return None


def _add_thinking(body: dict[str, Any], turn: Turn, model: ModelSpec) -> None:
    """The client's effort, or the operator's `think` as it is; without either, the model's default applies."""
    profile = profile_of(model)
    if not profile.efforts.accepted:
        body.pop("think", None)
        return
    if turn.options.effort is not None:
        body["think"] = think_of(turn.options.effort, profile)
    elif turn.options.thinking_budget is not None:
        body["think"] = turn.options.thinking_budget > 0
    elif isinstance(body.get("think"), str):
        body["think"] = think_of(body["think"], profile)


def _tools(tools: Iterable[ToolSpec], choice: ToolChoice | None) -> list[dict[str, Any]]:
    return [_tool(tool) for tool in tools if choice is None or choice.name in (None, tool.name)]


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = _parameters(tool)
    return {"type": "function", "function": function}


def _parameters(tool: ToolSpec) -> dict[str, Any]:
    """The schema without what Ollama's decoder refuses; it refuses the whole request for one such schema."""
    schema = inlined(tool.parameters) if tool.parameters is not None else {"type": "object", "properties": {}}
    dropped = []
    if schema.get("type") != "object":
        dropped += ["type"] if "type" in schema else []
        schema["type"] = "object"
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        dropped.append("properties")
        del schema["properties"]
    elif not all(isinstance(one, dict) for one in properties.values()):  # `true` accepts any value
        schema["properties"] = {name: one if isinstance(one, dict) else {} for name, one in properties.items()}
    if not isinstance(schema.get("required", []), list):
        dropped.append("required")
        del schema["required"]
    if dropped:
        log.debug("Fields of a tool's schema were dropped", tool=tool.name, fields=dropped)
    return schema


def with_instruction(messages: tuple[Message, ...], instruction: str) -> tuple[Message, ...]:
    """The messages with one more sentence at the end of the system prompt: few models read a second one."""
    if messages and messages[0].role in ("system", "developer"):
        first = messages[0]
        return (Message(first.role, (*first.parts, Text(instruction)), first.name), *messages[1:])
    return (Message("system", (Text(instruction),)), *messages)
