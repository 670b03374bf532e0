"""Builds providers from the configuration and the catalogue.

A configured row overrides the catalogue's row of the same id field by field. A configured row that can't be used is an
error, never replaced by the catalogue's: a prompt goes only to the host that the configuration names.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from gateway.config.problems import Problem, join
from gateway.config.profiles import ProfilesConfig
from gateway.config.providers import ModelsConfig
from gateway.core.errors import ConfigError
from gateway.upstream.by_address import quirks_of_address
from gateway.upstream.catalog import CATALOG, OTHER_NAMES, Row, known_models
from gateway.upstream.configured_row import inherits, provider_of
from gateway.upstream.keys import NamedKey, keys_of_row
from gateway.upstream.model import model_from
from gateway.upstream.prices import known_prices
from gateway.upstream.provider import Provider
from gateway.upstream.routes import route_problems
from gateway.upstream.row_credentials import built_in_url, has_credential, login_signer, region_of, with_keys
from gateway.upstream.row_problems import unreachable, unsendable, unsigned, unsupported, without_project
from gateway.upstream.signers import secrets_for

_NO_PROFILES = ProfilesConfig()


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
    configured = {name: provider_of(name, row, env, models, profiles) for name, row in models.providers.items()}
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
        row = CATALOG.get(name) if inherits(name, models) else None
        unusable = [*unsupported(path, config, row), *unreachable(path, name, config, row)]
        unusable += route_problems(f"{path}.request", config.base_url or "", config.request, env)
        if not unusable:
            provider = provider_of(name, config, env, models, profiles)
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


def _from_row(name: str, row: Row, env: Mapping[str, str], keys: list[NamedKey]) -> Provider:
    region = region_of(row, None, env)
    provider = Provider(
        id=name,
        base_url=built_in_url(row, env, region, keys),
        signer=None if has_credential(row.api, keys, {}) else login_signer(row.api, region, env),
        wire=row.api,
        key_headers=row.key_headers,
        unlisted=model_from("", row.api, _quirks_of(row)),
        embedding_model=row.embedding_model,
        local=row.local,
    )
    return with_keys(provider, keys, {}, secrets_for(row.api, env) if provider.signer else ())


def _quirks_of(row: Row) -> Mapping[str, object]:
    return {**quirks_of_address(row.base_url), **row.quirks}
