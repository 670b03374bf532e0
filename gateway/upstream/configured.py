"""Configuration and catalogue → providers. A configured row overrides the catalogue's row field by field."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.config.providers import CompatConfig, ModelConfig, ModelsConfig, ProviderConfig
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG, Row
from gateway.upstream.provider import Provider, headers_for
from gateway.wire import UPSTREAMS
from gateway.wire.compat import DEFAULT, Compat, ModelSpec


def providers_from(models: ModelsConfig, env: Mapping[str, str]) -> dict[str, Provider]:
    """All callable providers by id.

    Catalogue rows are included unless `models.mode` is `replace`. Their keys come from the environment variables that
    their documentation names. A configured provider with an unsupported wire format is omitted. Raises ConfigError for
    an invalid address, key or header.
    """
    providers: dict[str, Provider] = {}
    problems: list[str] = []
    if models.mode == "merge":
        for name, row in CATALOG.items():
            providers[name] = _from_row(name, row, env)
    for name, config in models.providers.items():
        if config.api in UPSTREAMS and (config.base_url or name in CATALOG):
            providers[name] = _configured(name, config, env)
    for name, provider in providers.items():
        try:
            for keyed in (provider, *provider.others):
                keyed.endpoint(UPSTREAMS[keyed.wire].path)
        except ValueError as error:
            problems.append(f"models.providers.{name}: {error}")
    if problems:
        raise ConfigError(tuple(problems))
    return providers


def key_from(row: Row, env: Mapping[str, str]) -> str | None:
    """The first key in the environment for a catalogue row."""
    return next((key for name in row.key_variables if (key := env.get(name, "").strip())), None)


def _from_row(name: str, row: Row, env: Mapping[str, str]) -> Provider:
    key = key_from(row, env)
    return Provider(
        id=name,
        base_url=row.base_url,
        api_key=key,
        headers=headers_for(key, {}),
        compat=row.compat,
        embedding_model=row.embedding_model,
    )


def _configured(name: str, config: ProviderConfig, env: Mapping[str, str]) -> Provider:
    row = CATALOG.get(name)
    compat = row.compat if row else DEFAULT
    headers = {header: value.get_secret_value() for header, value in config.headers.items()}
    (key_id, key), *more = _keys(config, row, env)
    provider = Provider(
        id=name,
        base_url=config.base_url or (row.base_url if row else ""),
        wire=config.api,
        api_key=key,
        key_id=key_id,
        headers=headers_for(key, headers),
        compat=compat,
        models={model.id: _model(model, config, compat) for model in config.models},
        embedding_model=row.embedding_model if row else None,
        timeout=config.timeout_seconds,
    )
    others = (replace(provider, api_key=one, key_id=id_, headers=headers_for(one, headers)) for id_, one in more)
    return replace(provider, others=tuple(others))


def _keys(config: ProviderConfig, row: Row | None, env: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """All keys with their names in the configuration, at least one entry. The file's keys replace the environment's."""
    if config.auth_header is False:
        return [("none", None)]
    named = [("apiKey", config.api_key), *((f"apiKeys.{index}", key) for index, key in enumerate(config.api_keys))]
    keys: list[tuple[str, str | None]] = [(name, key.get_secret_value()) for name, key in named if key is not None]
    return [(name, key) for name, key in keys if key] or [("apiKey", key_from(row, env) if row else None)]


def _model(model: ModelConfig, provider: ProviderConfig, compat: Compat) -> ModelSpec:
    return ModelSpec(
        id=model.id,
        max_tokens=model.max_tokens or provider.max_tokens,
        context_window=model.context_window,
        images="image" in model.input,
        compat=compat.merged(_quirks(model.compat)),
        params={**provider.params, **model.params} or None,
    )


def _quirks(config: CompatConfig) -> dict[str, object]:
    return {
        "tools": config.supports_tools,
        "tool_choice": config.supports_tool_choice,
        "parallel_tool_calls": config.supports_parallel_tool_calls,
        "developer_role": config.supports_developer_role,
        "usage_in_streaming": config.supports_usage_in_streaming,
        "max_tokens_field": config.max_tokens_field,
        "accepts_prefill": config.accepts_prefill,
        "embedding_base64": config.embedding_base64,
        "tool_call_fields": config.supports_tool_call_fields,
    }
