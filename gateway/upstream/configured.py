"""Builds providers from the configuration and the catalogue.

A configured row overrides the catalogue's row of the same id field by field. A configured row that can't be used is an
error, never replaced by the catalogue's: a prompt goes only to the host that the configuration names.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache

from pydantic import SecretStr
from yarl import URL

from gateway.config.problems import Problem, join
from gateway.config.profiles import ProfilesConfig
from gateway.config.providers import ModelsConfig, ProviderConfig, RequestConfig
from gateway.core.errors import ConfigError
from gateway.core.price import Price
from gateway.upstream.authorise import KeyHeaders, Signer, bearer, fixed_headers, key_headers_of
from gateway.upstream.aws import region_from
from gateway.upstream.base_url import base_url_for
from gateway.upstream.by_address import quirks_of_address
from gateway.upstream.catalog import CATALOG, OTHER_NAMES, Row, known_models
from gateway.upstream.configured_model import configured_model, with_row_settings
from gateway.upstream.entra_login import is_azures_host
from gateway.upstream.keys import NamedKey, keys_for, keys_of_row
from gateway.upstream.model import model_from
from gateway.upstream.prices import configured_price, known_prices
from gateway.upstream.provider import Provider, secrets_in
from gateway.upstream.routes import route_for, route_problems, secrets_of_route
from gateway.upstream.row_problems import unreachable, unsendable, unsigned, unsupported, without_project
from gateway.upstream.signers import login_format, secrets_for, signer_for
from gateway.wire import DEFAULT_UPSTREAM, UPSTREAMS
from gateway.wire.model import ModelSpec

_NO_PROFILES = ProfilesConfig()
_NO_REQUEST = RequestConfig()


def providers_from(
    models: ModelsConfig,
    env: Mapping[str, str],
    named: Collection[str] = (),
    profiles: ProfilesConfig = _NO_PROFILES,
) -> dict[str, Provider]:
    """Every provider that can be called, by id.

    A catalogue row joins if there is a key for it (in a variable that the provider's documentation names, or in
    `profiles`) or if the configuration names it elsewhere (`named`), unless `models.mode` is `replace`. Raises
    ConfigError with every problem of `provider_problems`.
    """
    problems = provider_problems(models, env, named, profiles)
    if problems:
        raise ConfigError(tuple(str(problem) for problem in problems))
    built_in = {
        name: replace(row, known=known_models(name, row.wire, _quirks_of(CATALOG[name])), prices=known_prices(name))
        for name, row in _built_in(models, env, named, profiles)
    }
    configured = {name: _configured(name, row, env, models, profiles) for name, row in models.providers.items()}
    return built_in | _other_names(configured, named) | configured


def provider_problems(
    models: ModelsConfig,
    env: Mapping[str, str],
    named: Collection[str] = (),
    profiles: ProfilesConfig = _NO_PROFILES,
) -> list[Problem]:
    """Why rows can't be used: their wire format, login, address, a key or a header that can't be sent. The arguments
    are those of `providers_from`.
    """
    problems: list[Problem] = []
    for name, provider in _built_in(models, env, named, profiles):
        path = join("models.providers", name)
        problems += [*unsendable(path, provider), *without_project(path, provider)]
    for name, config in models.providers.items():
        path = join("models.providers", name)
        row = CATALOG.get(name) if _inherits(name, models) else None
        unusable = [*unsupported(path, config, row), *unreachable(path, name, config, row)]
        unusable += route_problems(f"{path}.request", config.base_url or "", config.request, env)
        if not unusable:
            provider = _configured(name, config, env, models, profiles)
            unusable = [*unsendable(path, provider), *unsigned(path, provider), *without_project(path, provider)]
        problems += unusable
    return problems


def _other_names(configured: Mapping[str, Provider], named: Collection[str]) -> dict[str, Provider]:
    """The other ids of configured providers that are named: a prompt for `z.ai` goes to the address of `zai`."""
    return {
        other: provider
        for name, provider in configured.items()
        for other in OTHER_NAMES.get(name, ())
        if other in named
    }


def _built_in(
    models: ModelsConfig, env: Mapping[str, str], named: Collection[str], profiles: ProfilesConfig
) -> Iterator[tuple[str, Provider]]:
    """The built-in providers that join and that the configuration has no row for. One without an address, or in a
    format that is not served, can't be called.
    """
    if models.mode == "replace":
        return
    for name, row in CATALOG.items():
        is_configured = any(one in models.providers for one in (name, *OTHER_NAMES.get(name, ())))
        if row.base_url and row.served and not is_configured:
            keys = keys_of_row(name, row, env, profiles)
            if name in named or keys[0][1]:
                yield name, _from_row(name, row, env, keys)


def _inherits(name: str, models: ModelsConfig) -> bool:
    """Whether a row without a base URL has the catalogue's."""
    return models.mode == "merge" and name in CATALOG


def _from_row(name: str, row: Row, env: Mapping[str, str], keys: list[NamedKey]) -> Provider:
    region = _region(row, None, env)
    provider = Provider(
        id=name,
        base_url=_built_in_url(row, env, region, keys),
        signer=None if _has_credential(row.api, keys, {}) else _signer(row.api, region, env),
        wire=row.api,
        key_headers=row.key_headers,
        unlisted=model_from("", row.api, _quirks_of(row)),
        embedding_model=row.embedding_model,
        local=row.local,
    )
    return _with_keys(provider, keys, {}, secrets_for(row.api, env) if provider.signer else ())


def _quirks_of(row: Row) -> Mapping[str, object]:
    return {**quirks_of_address(row.base_url), **row.quirks}


def _signer(wire: str, region: str, env: Mapping[str, str], request: RequestConfig = _NO_REQUEST) -> Signer | None:
    """What signs the requests of a row with the login of the environment. Token servers are behind the row's proxy."""
    proxy = RequestConfig(proxy=request.proxy)
    return signer_for(wire, region, env, lambda url: route_for(url, proxy, env))


def _has_credential(wire: str, keys: list[NamedKey], headers: Mapping[str, str]) -> bool:
    """Whether a row has a key, or a header of its own that authorises its requests. `wire` is its `login_format`."""
    format_ = UPSTREAMS.get(wire)
    own = {name.lower() for name in headers} & {"authorization", (format_ and format_.key_header) or ""}
    return keys[0][1] is not None or bool(own)


def _region(row: Row | None, configured: str | None, env: Mapping[str, str]) -> str:
    """The region of an address that has one."""
    return configured or (region_from(env) if row is not None and "{region}" in row.base_url else "")


def _configured(
    name: str, config: ProviderConfig, env: Mapping[str, str], models: ModelsConfig, profiles: ProfilesConfig
) -> Provider:
    row = CATALOG.get(name)
    wire = config.api or (row.api if row and _is_there(config, row, env) else DEFAULT_UPSTREAM)
    headers = {**_plain(config.headers), **_plain(config.request.headers), **_header_of(config)}
    keys = keys_for(name, config, row, env, profiles)
    region = _region(row, config.region, env)
    written = config.base_url or (_built_in_url(CATALOG[name], env, region, keys) if _inherits(name, models) else "")
    quirks = {**quirks_of_address(written), **(row.quirks if row else {})}
    is_built_in = row is not None and _is_there(config, row, env)
    known = known_models(name, wire, quirks) if is_built_in else {}
    provider = Provider(
        id=name,
        base_url=base_url_for(wire, written),
        wire=wire,
        unlisted=model_from("", wire, quirks),
        known=known,
        prices=_prices(config, known_prices(name) if is_built_in else {}),
        only_listed=not written,  # without one, each model has its own
        embedding_model=row.embedding_model if row else None,
        timeout=config.timeout_seconds,
        traced=config.send_trace_context,
        local=row is not None and row.local,
        key_headers=_key_headers(config, row, wire, written),
        route=route_for(written, config.request, env),
    )
    provider = replace(provider, models=_models_of(config, provider, quirks))
    if config.model_fields_set & _FOR_EVERY_MODEL:
        others = {name: with_row_settings(model, config) for name, model in known.items()}
        provider = replace(provider, known=others, unlisted=with_row_settings(provider.unlisted, config))

    @cache  # the rows of models share their tokens
    def login(format_: str) -> Signer | None:
        return _signer(format_, region or region_from(env), env, config.request)

    def row_of(base: Provider, api: str, url: str, headers: Mapping[str, str]) -> Provider:
        format_ = login_format(api, url)
        # With OpenAI's formats, a login of Azure goes to Azure's hosts only, unless `authHeader` says otherwise:
        # elsewhere, something on the way may add the credential.
        wanted = is_azures_host(url) if config.auth_header is None else config.auth_header
        is_open = format_ != api and not wanted
        signer = None if is_open or _has_credential(format_, keys, headers) else login(format_)
        secrets = (*(secrets_for(format_, env) if signer else ()), *secrets_of_route(config.request))
        return _with_keys(replace(base, signer=signer), keys, headers, secrets)

    rows = {
        model.id: row_of(
            replace(
                provider,
                route=route_for(model.base_url or written, config.request, env),
                base_url=base_url_for(model.api or wire, model.base_url or written),
                wire=model.api or wire,
                key_headers=_key_headers(config, row, model.api or wire, model.base_url or written),
            ),
            model.api or wire,
            model.base_url or written,
            {**headers, **_plain(model.headers)},
        )
        for model in config.models
        if model.base_url or model.headers or model.api not in (None, wire)
    }
    return row_of(replace(provider, model_rows=rows), wire, written, headers)


_FOR_EVERY_MODEL = frozenset({"params", "max_tokens", "context_tokens", "context_window"})
"""Settings of a row that hold for models that it does not list, too."""


def _models_of(config: ProviderConfig, row: Provider, quirks: Mapping[str, object]) -> dict[str, ModelSpec]:
    return {model.id: configured_model(model, config, row, quirks) for model in config.models}


def _built_in_url(row: Row, env: Mapping[str, str], region: str, keys: list[NamedKey]) -> str:
    return row.url(env, region) if keys[0][1] else row.url_without_key(env, region)


def _prices(config: ProviderConfig, known: Mapping[str, Price]) -> Mapping[str, Price]:
    """The catalogue's prices with the configured ones, which win."""
    configured = {model.id: configured_price(model.cost, known.get(model.id)) for model in config.models}
    return {**known, **{name: price for name, price in configured.items() if price is not None}}


def _is_there(config: ProviderConfig, row: Row, env: Mapping[str, str]) -> bool:
    """Whether a configured row is at the built-in address, so that what the catalogue knows holds for it: at another
    host there may be another server, which is asked in the default format. A local server may be on another
    machine, and has one path per format.
    """
    if not config.base_url:
        return True
    mine, theirs = URL(config.base_url), URL(row.url(env, _region(row, config.region, env)))
    return mine.path.rstrip("/") == theirs.path.rstrip("/") if row.local else mine.host == theirs.host


def _key_headers(config: ProviderConfig, row: Row | None, wire: str, url: str) -> KeyHeaders:
    if config.auth_header or config.auth == "token" or config.request.auth.mode == "authorization-bearer":
        return bearer
    format_ = login_format(wire, url)
    return row.key_headers if row and row.api == format_ else key_headers_of(format_)


def _header_of(config: ProviderConfig) -> dict[str, str]:
    """The header of `request.auth` that carries the credential."""
    auth = config.request.auth
    if auth.mode != "header" or auth.value is None:
        return {}
    return {auth.header_name: f"{auth.prefix}{auth.value.get_secret_value()}"}


def _with_keys(
    provider: Provider, keys: list[NamedKey], headers: Mapping[str, str], secrets: tuple[str | None, ...] = ()
) -> Provider:
    """The row with its first key, and the same row with each further key as `others`; it has further `secrets`."""
    every = (*(key for _, key in keys), *secrets)
    provider = replace(provider, secrets=secrets_in(every, headers, provider.base_url))
    first, *others = (
        replace(provider, key_id=key_id, api_key=key, headers=fixed_headers(key, headers, provider.key_headers))
        for key_id, key in keys
    )
    return replace(first, others=tuple(others))


def _plain(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}
