"""Builds providers from the configuration and the catalogue.

A configured row overrides the catalogue's row of the same id field by field. A configured row that can't be used is an
error, never replaced by the catalogue's: a prompt goes only to the host that the configuration names.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from pydantic import SecretStr

from gateway.config.problems import Problem, join
from gateway.config.providers import OPENCLAW_FORMATS, CompatConfig, ModelConfig, ModelsConfig, ProviderConfig
from gateway.config.secret import trimmed_secret
from gateway.config.shape import nearest
from gateway.core.errors import ConfigError
from gateway.upstream.authorise import KeyHeaders, bearer, fixed_headers, key_header
from gateway.upstream.catalog import CATALOG, Row
from gateway.upstream.http import DEFAULTS
from gateway.upstream.provider import Provider, secrets_in
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire import DEFAULT_UPSTREAM, OWN_TOOLS, UPSTREAMS
from gateway.wire.model import ModelSpec

_LOGINS = ("oauth", "aws-sdk")


def providers_from(models: ModelsConfig, env: Mapping[str, str], named: Collection[str] = ()) -> dict[str, Provider]:
    """Every provider that can be called, by id.

    A catalogue row joins if the environment has its key (in a variable that the provider's documentation names) or if
    the configuration names it elsewhere (`named`), unless `models.mode` is `replace`. Raises ConfigError with every
    problem of `provider_problems`.
    """
    problems = provider_problems(models, env)
    if problems:
        raise ConfigError(tuple(str(problem) for problem in problems))
    built_in = _catalogue(models, env)
    return {
        **{name: row for name, row in built_in.items() if row.api_key or name in named},
        **{name: _configured(name, config, env, models) for name, config in models.providers.items()},
    }


def provider_problems(models: ModelsConfig, env: Mapping[str, str]) -> list[Problem]:
    """Why rows can't be used: their wire format, login, address, a key or a header that can't be sent."""
    problems: list[Problem] = []
    for name, provider in _catalogue(models, env).items():
        if name not in models.providers:
            problems += _unsendable(join("models.providers", name), provider)
    for name, config in models.providers.items():
        path = join("models.providers", name)
        unusable = [*_unsupported(path, config), *_unreachable(path, config, built_in=_inherits(name, models))]
        problems += unusable or _unsendable(path, _configured(name, config, env, models))
    return problems


def key_from(row: Row, env: Mapping[str, str]) -> str | None:
    """The first key in the environment for a catalogue row."""
    return next((key for name in row.key_variables if (key := _of_environment(env.get(name, "")))), None)


def _of_environment(value: str) -> str:
    """A key in the environment; "" for one that can't be used, as if it were not set."""
    try:
        return trimmed_secret(value)
    except ValueError:
        return ""


def _catalogue(models: ModelsConfig, env: Mapping[str, str]) -> dict[str, Provider]:
    return {} if models.mode == "replace" else {name: _from_row(name, row, env) for name, row in CATALOG.items()}


def _inherits(name: str, models: ModelsConfig) -> bool:
    """Whether a row without a base URL has the catalogue's."""
    return models.mode == "merge" and name in CATALOG


def _from_row(name: str, row: Row, env: Mapping[str, str]) -> Provider:
    key = key_from(row, env)
    key_headers = row.key_headers or _key_headers(row.api)
    return Provider(
        id=name,
        base_url=row.base_url,
        api_key=key,
        wire=row.api,
        headers=fixed_headers(key, {}, key_headers),
        key_headers=key_headers,
        unlisted=_spec("", row.api, row.quirks),
        embedding_model=row.embedding_model,
        local=row.local,
        secrets=secrets_in((key,), {}, row.base_url),
    )


def _configured(name: str, config: ProviderConfig, env: Mapping[str, str], models: ModelsConfig) -> Provider:
    row = CATALOG.get(name)
    quirks = row.quirks if row else {}
    wire = config.api or (row.api if row else DEFAULT_UPSTREAM)
    headers = {**_plain(config.headers), **_plain(config.request.headers)}
    keys = _keys(config, row, env)
    base_url = config.base_url or (CATALOG[name].base_url if _inherits(name, models) else "")
    provider = Provider(
        id=name,
        base_url=base_url,
        wire=wire,
        unlisted=_spec("", wire, quirks),
        models={model.id: _model(name, model, config, wire, quirks) for model in config.models},
        only_listed=not base_url,  # without one, each model has its own
        embedding_model=row.embedding_model if row else None,
        timeout=config.timeout_seconds,
        local=row is not None and row.local,
    )
    own_key_headers = row.key_headers if row and row.api == wire else None

    def asked_by(base: str, api: str) -> Provider:
        """The row with what depends on the wire format; `authHeader: true` demands a bearer token."""
        key_headers = bearer if config.auth_header else (own_key_headers or _key_headers(api))
        return replace(provider, base_url=base, wire=api, key_headers=key_headers)

    rows = {
        model.id: _with_keys(
            asked_by(model.base_url or base_url, model.api or wire),
            keys,
            {**headers, **_plain(model.headers)},
        )
        for model in config.models
        if model.base_url or model.headers or model.api not in (None, provider.wire)
    }
    return _with_keys(replace(asked_by(base_url, wire), model_rows=rows), keys, headers)


def _key_headers(wire: str) -> KeyHeaders:
    """The headers that carry a key in this wire format."""
    name = UPSTREAMS[wire].key_header
    return bearer if name is None else key_header(name)


def _with_keys(provider: Provider, keys: list[tuple[str, str | None]], headers: Mapping[str, str]) -> Provider:
    """The row with its first key, and the same row with each further key as `others`."""
    provider = replace(provider, secrets=secrets_in((key for _, key in keys), headers, provider.base_url))
    first, *others = (
        replace(provider, key_id=key_id, api_key=key, headers=fixed_headers(key, headers, provider.key_headers))
        for key_id, key in keys
    )
    return replace(first, others=tuple(others))


def _plain(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


def _keys(config: ProviderConfig, row: Row | None, env: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """(config key, API key) of every key, at least one entry; the environment is used only if the file has no key."""
    if config.auth_header is False:
        return [("none", None)]
    configured = (
        ("apiKey", config.api_key),
        *((f"apiKeys.{index}", key) for index, key in enumerate(config.api_keys)),
    )
    keys: list[tuple[str, str | None]] = [
        (name, secret) for name, key in configured if key is not None and (secret := key.get_secret_value())
    ]
    return keys or [("apiKey", key_from(row, env) if row else None)]


def _model(
    name: str, model: ModelConfig, provider: ProviderConfig, wire: str, quirks: Mapping[str, object]
) -> ModelSpec:
    own = {quirk: value for quirk, value in _quirks(model.compat).items() if value is not None}
    return replace(
        _spec(model.id, model.api or wire, {**quirks, **own}),
        max_tokens=model.max_tokens or provider.max_tokens,
        context_window=_context(model) or _context(provider),
        images="image" in model.input,
        reasoning=model.reasoning,
        params={**provider.params, **model.params} or None,
        provider=name,
    )


def _quirks(compat: CompatConfig) -> dict[str, object]:
    """What some wire format reads; keys that none reads are `CompatConfig.INERT`."""
    return {
        "supports_tools": compat.supports_tools,
        "supports_tool_choice": compat.supports_tool_choice,
        "supports_parallel_tool_calls": compat.supports_parallel_tool_calls,
        "supports_developer_role": compat.supports_developer_role,
        "supports_usage_in_streaming": compat.supports_usage_in_streaming,
        "max_tokens_field": compat.max_tokens_field,
        "accepts_prefill": compat.accepts_prefill,
        "embedding_base64": compat.embedding_base64,
        "supports_tool_call_fields": compat.supports_tool_call_fields,
        "supports_own_tools": compat.supports_own_tools,
    }


def _spec(model_id: str, wire: str, quirks: Mapping[str, object]) -> ModelSpec:
    """What the quirks say of a model: the gateway's own part, and the profile of its wire format."""
    return ModelSpec(
        model_id,
        tools=quirks.get("supports_tools") is not False,
        accepts_prefill=quirks.get("accepts_prefill") is True,
        own_tools=wire in OWN_TOOLS and quirks.get("supports_own_tools") is not False,
        profile=UPSTREAMS[wire].profile(quirks),
    )


def _context(config: ModelConfig | ProviderConfig) -> int | None:
    """Tokens that a prompt may use: `contextTokens` is a cap below the model's real `contextWindow`."""
    return min(filter(None, (config.context_tokens, config.context_window)), default=None)


def _unsupported(path: str, config: ProviderConfig) -> Iterator[Problem]:
    """Settings that the gateway would ignore, so that it would send prompts differently than configured."""
    apis = [(path, config.api), *((join(f"{path}.models", i), model.api) for i, model in enumerate(config.models))]
    for where, api in apis:
        if api is not None and api not in UPSTREAMS:
            yield Problem(f"{where}.api", _no_format(api))
    if config.auth in _LOGINS:
        yield Problem(f"{path}.auth", f'"{config.auth}" logins are not supported; use an API key')
    if config.request.proxy is not None:
        yield Problem(f"{path}.request.proxy", "calls through a proxy are not supported; remove the key")
    if config.request.tls is not None:
        yield Problem(f"{path}.request.tls", "custom TLS settings are not supported; remove the key")
    auth = config.request.auth
    if auth is not None and auth.get("mode", "provider-default") != "provider-default":
        yield Problem(f"{path}.request.auth", "is not supported; use apiKey, or authHeader: false and headers")


def _no_format(api: str) -> str:
    served = ", ".join(UPSTREAMS)
    if api in OPENCLAW_FORMATS:
        return f"the wire format {api!r} is not supported yet; use an endpoint with {served}, or remove the row"
    near = nearest(api, UPSTREAMS)
    return f"there is no wire format {api!r}; " + (f"did you mean {near!r}?" if near else f"use one of: {served}")


def _unreachable(path: str, config: ProviderConfig, *, built_in: bool) -> Iterator[Problem]:
    """Base URLs that are missing or malformed. They are checked before anything parses them, and never quoted, because
    a URL may hold a password.
    """
    if not config.base_url and not built_in and not (config.models and all(model.base_url for model in config.models)):
        yield Problem(f"{path}.baseUrl", "is missing; only built-in providers have a default")
    urls = [(path, config.base_url)]
    urls += [(join(f"{path}.models", index), model.base_url) for index, model in enumerate(config.models)]
    for where, url in urls:
        if url and not _is_address(url):
            yield Problem(
                f"{where}.baseUrl", "is not an http or https URL with a host; write one such as https://host/v1"
            )


def _is_address(url: str) -> bool:
    try:
        endpoint(url, {}, DEFAULTS)
    except ValueError:
        return False
    return not any(character.isspace() for character in url)


def _unsendable(path: str, provider: Provider) -> Iterator[Problem]:
    """Keys and headers that can't be part of an HTTP request; values are never quoted."""
    indices = {model_id: index for index, model_id in enumerate(provider.models)}
    rows = [(path, provider)] if provider.base_url else []
    rows += [(join(f"{path}.models", indices[model_id]), row) for model_id, row in provider.model_rows.items()]
    for where, row in rows:
        for keyed in (row, *row.others):
            try:
                for wire_path in UPSTREAMS[keyed.wire].paths() or ("",):
                    keyed.endpoint(wire_path)
            except ValueError as error:
                yield Problem(_blamed(where, path, keyed), str(error))


def _blamed(where: str, provider_path: str, row: Provider) -> str:
    """The config key of the header that can't be sent: a key's, unless the rest can't be sent either."""
    own = row.key_headers(row.api_key or "").values()
    others = {name: value for name, value in row.headers.items() if value not in own}
    try:
        endpoint(row.base_url, others, DEFAULTS)
    except ValueError:
        return f"{where}.headers"
    key, _, index = row.key_id.partition(".")
    return join(f"{provider_path}.{key}", int(index)) if index else f"{provider_path}.{key}"
