"""Encodes a Turn as the body of a request to the Converse API.

Settings without a field here are dropped: seed, penalties, logprobs, verbosity, metadata, the client's user, parallel
tool calls, `strict` of tools, stop sequences of white space.
"""

from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.message import Owner
from gateway.core.turn import ResponseFormat, ToolChoice, ToolSpec, Turn
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.bedrock_converse.messages import Conversation
from gateway.wire.bedrock_converse.profile import profile_of
from gateway.wire.claude import Abilities
from gateway.wire.claude_thinking import add_thinking, thinks
from gateway.wire.model import ModelSpec
from gateway.wire.prompt_cache import RETENTION_PARAM, lifetime, retention_of
from gateway.wire.structured_schema import object_schema, reduced
from gateway.wire.tool_demand import demand_of

_FIELDS = frozenset({
    "guardrailConfig", "projectIdentifier", "promptVariables", "requestMetadata", "performanceConfig", "serviceTier",
    "additionalModelRequestFields", "additionalModelResponseFieldPaths",
})  # fmt: skip
"""Fields that the operator may set in `params`; all others belong to the model."""
_EFFORT_PARAMS = ("thinking", "reasoning_effort")


def build_request(turn: Turn, model: ModelSpec) -> tuple[bytes, bool]:
    """The JSON body, and whether it demands a tool call in words only.

    Raises UpstreamError for content that the format can't carry.
    """
    profile = profile_of(model)
    abilities = profile.abilities(model)
    params = {**(model.params or {}), **(turn.params or {}), **turn.extras.of(WIRE)}
    params.pop(RETENTION_PARAM, None)
    words = [params.pop(name) for name in _EFFORT_PARAMS if isinstance(params.get(name), str)] if params else ()
    body: dict[str, Any] = {name: params.pop(name) for name in _FIELDS & params.keys()} if params else {}
    fields: dict[str, Any] = {**params, **body.pop("additionalModelRequestFields", {})}

    conversation = Conversation(Owner(WIRE, model.provider, model.id))
    messages = turn.messages if model.tools else [message for message in turn.messages if not message.hidden]
    conversation.add(messages)
    fields["max_tokens"] = _cap(turn, fields, model, abilities)
    effort = profile.efforts.named(turn.options.effort or (words[0] if words else None))
    add_thinking(fields, effort, turn.options.thinking_budget, abilities)
    if abilities.thinking == "budget" and conversation.in_tool_loop_without_reasoning:
        fields.pop("thinking", None)
    output = fields.pop("output_config", {})
    reasons = thinks(fields)
    form = turn.sampling.response_format
    _add_form(output, form, conversation, abilities)
    if output:
        body["outputConfig"] = output
    forced = profile.tool_choice and abilities.forced_tools and not reasons
    instruction = _add_tools(body, turn, conversation.tools if model.tools else set(), forced=forced)
    if instruction is not None or not abilities.prefill or reasons:
        conversation.end_with_user(instruction)
    body["inferenceConfig"] = _inference(turn, fields, abilities, reasons=reasons)
    if turn.options.top_k is not None and abilities.sampling and not reasons:
        fields["top_k"] = turn.options.top_k
    if fields:
        body["additionalModelRequestFields"] = fields
    body["messages"] = conversation.messages
    if conversation.system:
        body["system"] = conversation.system
    if profile.caches(model) and (duration := lifetime(retention_of(turn, model))) is not None:
        _add_cache_points(body, {"cachePoint": {"type": "default", **({"ttl": "1h"} if duration == "1h" else {})}})
    demanded = turn.tool_choice is not None and turn.tool_choice.mode in ("required", "pinned")
    return dumps(body), instruction is not None and demanded


def _cap(turn: Turn, fields: dict[str, Any], model: ModelSpec, abilities: Abilities) -> int:
    asked = turn.sampling.max_tokens
    if asked is not None:
        return model.clamp(asked)
    own = fields.get("max_tokens")
    return (
        own
        if type(own) is int and own > 0
        else model.max_tokens or min(abilities.cap, model.output_limit or abilities.cap)
    )


def _inference(turn: Turn, fields: dict[str, Any], abilities: Abilities, *, reasons: bool) -> dict[str, Any]:
    """`inferenceConfig`; its fields leave `fields`, which holds the model's own."""
    sampling = turn.sampling
    config: dict[str, Any] = {"maxTokens": fields.pop("max_tokens")}
    temperature, top_p = fields.pop("temperature", None), fields.pop("top_p", None)
    temperature = sampling.temperature if sampling.temperature is not None else temperature
    top_p = sampling.top_p if sampling.top_p is not None else top_p
    if abilities.sampling and not reasons:
        if temperature is not None:
            config["temperature"] = min(temperature, 1)
        elif top_p is not None:
            config["topP"] = top_p
    else:
        fields.pop("top_k", None)
    if sampling.stop and (stops := [stop for stop in sampling.stop if stop.strip()]):
        config["stopSequences"] = stops
    return config


def _add_form(
    output: dict[str, Any], form: ResponseFormat | None, conversation: Conversation, abilities: Abilities
) -> None:
    """The form of the answer; in words where the model has no field for it."""
    if form is None or form.kind == "text":
        return
    schema = form.schema.get("schema") if form.schema else None
    if form.schema is not None and schema is not None and abilities.json_schema:
        name = form.schema.get("name")
        definition = {"schema": dumps(reduced(schema)).decode(), **({"name": name} if isinstance(name, str) else {})}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
        return
    text = "Answer with one JSON object and nothing else: no explanation, no code fence."
    if schema is not None:
        text += f" It must match this JSON Schema: {dumps(schema).decode()}"
    conversation.system.append({"text": text})


def _add_tools(body: dict[str, Any], turn: Turn, called: set[str], *, forced: bool) -> str | None:
    """Set `toolConfig` in `body`, and return the instruction that replaces a choice, if any.

    The history's tools have to be offered even if the client offers none, and there is no choice `none`.
    """
    if not turn.tools and not called:
        return None
    choice = turn.tool_choice or ToolChoice("auto")
    tools = [_tool(tool) for tool in turn.tools]
    if not tools or choice.mode == "none":
        if not called:
            return None
        known = {tool.name for tool in turn.tools}
        tools += [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in called - known]
        body["toolConfig"] = {"tools": tools}
        return "Answer now, without calling a tool."
    body["toolConfig"] = {"tools": tools}
    if choice.mode == "auto":
        return None
    if forced:
        chosen = {"any": {}} if choice.mode == "required" else {"tool": {"name": choice.name}}
        body["toolConfig"]["toolChoice"] = chosen
        return None
    return demand_of(choice)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": object_schema(tool.parameters)}}
    if tool.description:
        spec["description"] = tool.description
    return {"toolSpec": spec}


def _add_cache_points(body: dict[str, Any], point: dict[str, Any]) -> None:
    """After the system prompt, or the tools if there is none, and after the latest two user turns."""
    if system := body.get("system"):
        system.append(point)
    elif "toolConfig" in body:
        body["toolConfig"]["tools"].append(point)
    for message in [one for one in body["messages"] if one["role"] == "user"][-2:]:
        message["content"].append(point)
