"""Providers of agents that want a credential: a login that is not supported, or no key."""

from collections.abc import Iterator, Mapping

from gateway.agents.directory import Directory
from gateway.agents.model_chain import chain_providers
from gateway.config.problems import Problem, join
from gateway.config.root import Config
from gateway.upstream.catalog import CATALOG
from gateway.upstream.keys import has_key
from gateway.upstream.provider import Provider


def logins(config: Config, env: Mapping[str, str]) -> Iterator[Problem]:
    """Providers of agents whose only credential is a login."""
    for name in sorted(chain_providers(config)):
        if has_key(name, config.models.providers.get(name), CATALOG.get(name), env, config.auth):
            continue
        for profile, login in config.auth.of(name):
            if login.mode == "oauth":
                text = f"signs in to {name!r} with OAuth, which is not supported"
                yield Problem(join("auth.profiles", profile), f"{text}; {_where_to_put_a_key(name)}")


def missing_keys(directory: Directory, providers: Mapping[str, Provider]) -> Iterator[Problem]:
    """Providers of agents that want a key and have none."""
    names = dict.fromkeys(ref.provider for agent in directory.agents for ref in agent.candidates)
    for name in names:
        provider, row = providers.get(name), CATALOG.get(name)
        if provider is None or row is None or provider.local or provider.api_key or provider.headers or provider.signer:
            continue
        if provider.key_id != "none":
            text = f"is missing, so {provider.address} will refuse every call"
            yield Problem(f"models.providers.{name}.apiKey", f"{text}; {_where_to_put_a_key(name)}")


def _where_to_put_a_key(name: str) -> str:
    row = CATALOG.get(name)
    variables = f" or {row.key_variables[0]}" if row and row.key_variables else ""
    return f"set an API key in models.providers.{name}.apiKey{variables}"
