"""A model that the configuration lists, as its wire format reads it; the catalogue gives what the file does not say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.config.providers import CompatConfig, ModelConfig, ProviderConfig
from gateway.core.params import layered, split
from gateway.upstream.by_address import params_of_address, quirks_of_address
from gateway.upstream.model import model_from
from gateway.upstream.provider import Provider
from gateway.wire.efforts import map_of_levels
from gateway.wire.model import ModelSpec


def configured_model(
    model: ModelConfig, config: ProviderConfig, provider: Provider, quirks: Mapping[str, object]
) -> ModelSpec:
    """A configured model; what the file does not say of it comes from the catalogue."""
    own = {quirk: value for quirk, value in _quirks(model.compat).items() if value is not None}
    if model.thinking_level_map:
        levels = map_of_levels({str(level): word for level, word in model.thinking_level_map.items()})
        own["reasoning_effort_map"] = {**levels, **(model.compat.reasoning_effort_map or {})}
    base = provider.known.get(model.id)
    wire, url = model.api or provider.wire, model.base_url or provider.base_url
    if model.base_url:
        quirks = {**quirks_of_address(url), **quirks}
    spec = model_from(model.id, wire, {**quirks, **own})
    configured = model.model_fields_set
    context = _context(model) or _context(config) or (base.context_window if base else None)
    params = layered(config.params, model.params)
    if config.inject_num_ctx and (implied := params_of_address(provider.id, wire, url, context)):
        params = _with_defaults(params, implied)
    return replace(
        spec,
        max_tokens=model.max_tokens or config.max_tokens,
        context_window=context,
        images=base.images if base and "input" not in configured else "image" in model.input,
        reasoning=base.reasoning if base and "reasoning" not in configured else model.reasoning,
        tools=base.tools if base and own.get("supports_tools") is None else spec.tools,
        provider=provider.id,
        output_limit=base.output_limit if base else None,
        **_settings(params),
    )


def with_row_settings(model: ModelSpec, config: ProviderConfig) -> ModelSpec:
    """A model that the row does not list, with what the row sets for all of its models."""
    return replace(
        model,
        max_tokens=config.max_tokens or model.max_tokens,
        context_window=_context(config) or model.context_window,
        **_settings(config.params),
    )


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    neutral, own = split(params)
    return {"params": own or None, "defaults": neutral or None}


def _with_defaults(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The params, with what is missing of `defaults`, also inside its objects."""
    joined = {name: {**value, **params[name]} for name, value in defaults.items() if isinstance(params.get(name), dict)}
    return {**defaults, **params, **joined}


def _quirks(compat: CompatConfig) -> dict[str, object]:
    """What some wire format reads."""
    return {
        "supports_tools": compat.supports_tools,
        "supports_tool_choice": compat.supports_tool_choice,
        "supports_parallel_tool_calls": compat.supports_parallel_tool_calls,
        "supports_developer_role": compat.supports_developer_role,
        "supports_late_system": compat.supports_late_system,
        "supports_usage_in_streaming": compat.supports_usage_in_streaming,
        "supports_store": compat.supports_store,
        "supports_temperature": compat.supports_temperature,
        "supports_prompt_cache_key": compat.supports_prompt_cache_key,
        "supports_json_schema_response_format": compat.supports_json_schema_response_format,
        "max_tokens_field": compat.max_tokens_field,
        "accepts_prefill": compat.accepts_prefill,
        "embedding_base64": compat.embedding_base64,
        "embedding_batch_size": compat.embedding_batch_size,
        "supports_embedding_tokens": compat.supports_embedding_tokens,
        "supports_tool_call_fields": compat.supports_tool_call_fields,
        "supports_reasoning_effort": compat.supports_reasoning_effort,
        "supported_reasoning_efforts": compat.supported_reasoning_efforts,
        "reasoning_effort_map": compat.reasoning_effort_map,
        "unsupported_tool_schema_keywords": compat.unsupported_tool_schema_keywords,
        "tool_schema_profile": compat.tool_schema_profile,
        "supports_own_tools": compat.supports_own_tools,
        "supports_pdf_input": compat.supports_pdf_input,
        "supports_strict_mode": compat.supports_strict_mode,
        "strict_message_keys": compat.strict_message_keys,
        "requires_string_content": compat.requires_string_content,
        "requires_tool_result_name": compat.requires_tool_result_name,
        "supports_unknown_fields": compat.supports_unknown_fields,
        "supports_prompt_cache": compat.supports_prompt_cache,
        "supports_block_binding": compat.supports_block_binding,
        "seed_field": compat.seed_field,
        "thinking_format": compat.thinking_format,
        "requires_assistant_after_tool_result": compat.requires_assistant_after_tool_result,
        "requires_thinking_as_text": compat.requires_thinking_as_text,
        "visible_reasoning_detail_types": compat.visible_reasoning_detail_types,
        "zai_tool_stream": compat.zai_tool_stream,
        "requires_mistral_tool_ids": compat.requires_mistral_tool_ids,
        "cache_control_format": compat.cache_control_format,
        "open_router_routing": compat.open_router_routing,
        "vercel_gateway_routing": compat.vercel_gateway_routing,
        "requires_reasoning_content_on_assistant_messages": compat.requires_reasoning_content_on_assistant_messages,
    }


def _context(config: ModelConfig | ProviderConfig) -> int | None:
    """Tokens that a prompt may use: `contextTokens` is a cap below the model's real `contextWindow`."""
    return min(filter(None, (config.context_tokens, config.context_window)), default=None)
