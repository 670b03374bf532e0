"""Encodes a Turn as the body of a request to the Messages API (https://platform.claude.com/docs/en/api/messages).

Settings without a field here are dropped: seed, penalties, logprobs, verbosity, summary, metadata, the key of the
prompt cache, `strict` of tools (its limits refuse ordinary schemas), stop sequences of white space.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.core.jsonio import dumps
from gateway.core.message import Owner
from gateway.core.turn import ResponseFormat, Sampling, Turn
from gateway.wire.anthropic_messages import BETAS, WIRE
from gateway.wire.anthropic_messages.cache import add_breakpoints
from gateway.wire.anthropic_messages.messages import Conversation
from gateway.wire.anthropic_messages.profile import Profile, profile_of
from gateway.wire.anthropic_messages.tools import add_tools
from gateway.wire.claude import Abilities
from gateway.wire.claude_thinking import add_thinking, fits, level_of, thinks
from gateway.wire.model import ModelSpec
from gateway.wire.prompt_cache import RETENTION_PARAM, retention_of
from gateway.wire.structured_schema import reduced

_TIERS = {"auto": "auto", "default": "standard_only", "standard": "standard_only", "standard_only": "standard_only"}
_EFFORT_PARAMS = ("thinking", "reasoning_effort")  # in `params`: OpenClaw's level of thinking, and OpenAI's field


_THINKING_EDITS = "clear_thinking"
_BINDING_BETA = "thinking-binding-controls-2026-08-01"
# Later versions refuse sampling parameters; the `headers` of a row may name another one.
VERSION = {"anthropic-version": "2023-06-01"}


class BuiltRequest(Struct, frozen=True):
    """The fields of the body, whether it demands a tool call in words only, and the betas that it needs or the client
    asks for, if any.
    """

    fields: dict[str, Any]
    choice_in_words: bool
    beta: str | None

    @property
    def body(self) -> bytes:
        """The body as JSON."""
        return dumps(self.fields)


def build_request(turn: Turn, model: ModelSpec) -> BuiltRequest:
    """The provider's request. Raises UpstreamError for content that the format can't carry."""
    profile = profile_of(model)
    abilities = profile.abilities(model)
    own = dict(turn.extras.of(WIRE))
    betas = [*own.pop(BETAS, ())]
    thinking, config = own.pop("thinking", None), _named(own.pop("output_config", None), profile)
    if not profile.unknown_fields:
        own, betas = {name: value for name, value in own.items() if name == "metadata"}, []
    own.pop("output_format", None)  # an earlier name of `output_config.format`
    body: dict[str, Any] = {**(model.params or {}), **(turn.params or {}), **own}
    body.pop(RETENTION_PARAM, None)
    effort = profile.efforts.named(_effort(turn, body))
    body["model"] = model.id
    body["max_tokens"] = _cap(turn.sampling, body, model, abilities)
    # A model without tool support may continue the conversation of a model with tools.
    messages = turn.messages if model.tools else [message for message in turn.messages if not message.hidden]
    conversation = Conversation(Owner(WIRE, model.provider, model.id), late_system=abilities.late_system)
    conversation.add(messages)
    _add_thinking(body, thinking, config, (effort, turn.options.thinking_budget), abilities)
    if abilities.thinking == "budget" and conversation.in_tool_loop_without_thinking:
        body.pop("thinking", None)  # the reasoning before these calls was another model's
    reasons = thinks(body)
    instruction = add_tools(
        body,
        turn,
        conversation.tools if model.tools else (),
        forced=abilities.forced_tools and profile.tool_choice and not reasons,
        parallel=profile.parallel_tool_calls,
    )
    if abilities.prefill and not reasons:
        conversation.end_prefill()
    else:
        conversation.end_with_user()
    if not reasons and "context_management" in body:
        _without_edits_of_thinking(body)
    if (form := turn.sampling.response_format) is not None:
        _add_form(body, form, conversation, abilities)
    body["messages"] = conversation.messages
    if conversation.system:
        body["system"] = conversation.system
    _add_sampling(body, turn, abilities, reasons=reasons)
    add_breakpoints(body, retention_of(turn, model))
    if instruction is not None:
        _tell(conversation.messages, instruction)
    if turn.stream:
        body["stream"] = True
    if profile.block_binding and abilities.bound and _unbind(body) and _BINDING_BETA not in betas:
        betas.append(_BINDING_BETA)
    return BuiltRequest(body, instruction is not None, ",".join(betas) or None)


def headers_of(built: BuiltRequest) -> Mapping[str, str]:
    """The headers that the format needs."""
    return VERSION if built.beta is None else {**VERSION, "anthropic-beta": built.beta}


def _unbind(body: dict[str, Any]) -> bool:
    """Ask the provider to drop reasoning in the history that it would refuse; False if there is none.

    What comes before it changes: an agent's prompt, an instruction for one request, a history that was shortened.
    """
    thinking = body.get("thinking", {"type": "adaptive"})
    if thinking.get("type") == "disabled" or not any(
        block["type"] in ("thinking", "redacted_thinking")
        for message in body["messages"]
        if message["role"] == "assistant"
        for block in message["content"]
    ):
        return False
    body["thinking"] = {**thinking, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    return True


def _add_thinking(
    body: dict[str, Any], own: Any, config: Any, neutral: tuple[str | None, int | None], abilities: Abilities
) -> None:
    """Set how the model reasons: as a client of this format asks (`own` and `config` are its `thinking` and
    `output_config`) if the model accepts that, else by the `neutral` effort and budget.
    """
    if fits(own, body["max_tokens"], abilities):
        body["thinking"] = own
        _add_effort(body, config, abilities)
    elif own is None and config is not None:  # an effort alone does not ask for reasoning
        _add_effort(body, config, abilities)
    else:
        effort, budget = neutral
        if own is not None and own.get("type") == "adaptive":
            effort = effort or "high"  # Anthropic's default
        add_thinking(body, effort, budget, abilities)


def _add_effort(body: dict[str, Any], config: dict[str, Any] | None, abilities: Abilities) -> None:
    """The effort that the client gave in this format, if the model knows any."""
    effort = (config or {}).get("effort")
    if effort is not None and (level := level_of(effort, abilities)) is not None:
        body["output_config"] = {**body.get("output_config", {}), "effort": level}


def _named(config: Any, profile: Profile) -> Any:
    """The client's `output_config`, with the model's own word for its effort."""
    if profile.efforts.mapped and isinstance(config, dict) and isinstance(effort := config.get("effort"), str):
        return {**config, "effort": profile.efforts.named(effort)}
    return config


def _without_edits_of_thinking(body: dict[str, Any]) -> None:
    """Leave out the client's edits of reasoning, which the provider refuses in a request without reasoning."""
    managed = body.get("context_management")
    edits = managed.get("edits") if isinstance(managed, dict) else None
    if isinstance(managed, dict) and isinstance(edits, list):
        others = [
            edit for edit in edits if not (isinstance(edit, dict) and str(edit.get("type")).startswith(_THINKING_EDITS))
        ]
        body["context_management"] = {**managed, "edits": others}
        if not others:
            del body["context_management"]


def _effort(turn: Turn, body: dict[str, Any]) -> str | None:
    """The client's effort, else the operator's, in whichever words; those that are no fields here leave the body."""
    words = [body.pop(name) for name in _EFFORT_PARAMS if isinstance(body.get(name), str)] if body else ()
    return turn.options.effort or (words[0] if words else None)


def _cap(sampling: Sampling, body: dict[str, Any], model: ModelSpec, abilities: Abilities) -> int:
    """`max_tokens`, which is required: the caller's, clamped to the model's; without the caller's, the model's."""
    if sampling.max_tokens is not None:
        return model.clamp(sampling.max_tokens)
    own = body.get("max_tokens")
    return (
        own
        if type(own) is int and own > 0
        else model.max_tokens or min(abilities.cap, model.output_limit or abilities.cap)
    )


def _add_sampling(body: dict[str, Any], turn: Turn, abilities: Abilities, *, reasons: bool) -> None:
    sampling, options = turn.sampling, turn.options
    if sampling.temperature is not None:
        body["temperature"] = min(sampling.temperature, 1)
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if options.top_k is not None:
        body["top_k"] = options.top_k
    if not abilities.sampling or reasons:
        for name in ("temperature", "top_p", "top_k"):
            body.pop(name, None)
    elif "temperature" in body:
        body.pop("top_p", None)  # newer models accept only one of them
    if sampling.stop and (stops := [stop for stop in sampling.stop if stop.strip()]):
        body["stop_sequences"] = stops
    if options.end_user is not None:
        body["metadata"] = {"user_id": options.end_user}
    if (tier := _TIERS.get(options.service_tier or "")) is not None:
        body["service_tier"] = tier


def _add_form(body: dict[str, Any], form: ResponseFormat, conversation: Conversation, abilities: Abilities) -> None:
    """The form of the answer; in words where the model has no field for it."""
    if form.kind == "text":
        return
    schema = form.schema.get("schema") if form.schema else None
    if schema is not None and abilities.json_schema:
        config = {"type": "json_schema", "schema": reduced(schema)}
        body["output_config"] = {**body.get("output_config", {}), "format": config}
        return
    text = "Answer with one JSON object and nothing else: no explanation, no code fence."
    if schema is not None:
        text += f" It must match this JSON Schema: {dumps(schema).decode()}"
    conversation.system.append({"type": "text", "text": text})


def _tell(messages: list[dict[str, Any]], text: str) -> None:
    """Add a sentence to the last user's turn, behind the breakpoints of the cache."""
    block = {"type": "text", "text": text}
    last = messages[-1] if messages else None
    if last is None or last["role"] == "assistant":
        messages.append({"role": "user", "content": [block]})
    elif isinstance(last["content"], list):
        last["content"].append(block)
    else:
        last["content"] = [{"type": "text", "text": last["content"]}, block]
