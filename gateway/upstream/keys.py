"""Where the API keys of a provider come from: its row, then the profiles of an OpenClaw installation, then the
environment. The first source that has any decides; its keys are used in turn.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from gateway.config.profiles import ProfilesConfig
from gateway.config.providers import ProviderConfig
from gateway.config.secret import trimmed_secret
from gateway.upstream.catalog import Row

NamedKey = tuple[str, str | None]
"""The key's name, which discloses nothing, and the key itself. A name is a key of the row, or where it was keys."""

_SEVERAL = re.compile(r"[,;]")


def keys_for(
    name: str, config: ProviderConfig, row: Row | None, env: Mapping[str, str], profiles: ProfilesConfig
) -> list[NamedKey]:
    """The keys of a configured row, at least one entry."""
    auth = config.request.auth
    if config.auth_header is False or auth.mode == "header":
        return [("none", None)]
    if auth.mode == "authorization-bearer":
        return [("request.auth.token", auth.token.get_secret_value() if auth.token else None)]
    configured = (
        ("apiKey", config.api_key),
        *((f"apiKeys.{index}", key) for index, key in enumerate(config.api_keys)),
    )
    keys: list[NamedKey] = [
        (name, secret) for name, key in configured if key is not None and (secret := key.get_secret_value())
    ]
    return keys or keys_of_row(name, row, env, profiles)


def keys_of_row(name: str, row: Row | None, env: Mapping[str, str], profiles: ProfilesConfig) -> list[NamedKey]:
    """The keys of a provider whose row has none, at least one entry."""
    stored: list[NamedKey] = [(f"auth.profiles.{name}", key) for key in profiles.keys_of(name)]
    if stored:
        return stored
    keys = dict.fromkeys(_in_environment(row, env)) if row else {}
    return [("apiKey" if index == 0 else f"environment.{index}", key) for index, key in enumerate(keys)] or [
        ("apiKey", None)
    ]


def has_key(
    name: str,
    config: ProviderConfig | None,
    row: Row | None,
    env: Mapping[str, str],
    profiles: ProfilesConfig,
) -> bool:
    """Whether calls of a provider carry a credential."""
    if config is None:
        return any(key for _, key in keys_of_row(name, row, env, profiles))
    sent = config.headers or config.request.headers or config.request.auth.mode == "header"
    return bool(sent) or any(key for _, key in keys_for(name, config, row, env, profiles))


def key_from(row: Row, env: Mapping[str, str]) -> str | None:
    """The first key in the environment for a catalogue row."""
    return next(_in_environment(row, env), None)


def _usable(text: str) -> str:
    """A key in the environment; "" for one that can't be sent, as if it were not set."""
    try:
        return trimmed_secret(text)
    except ValueError:
        return ""


def _in_environment(row: Row, env: Mapping[str, str]) -> Iterator[str]:
    """The keys in the variables of the row: `NAME`, then the list `NAMES`, then `NAME_1` and so on (as in OpenClaw)."""
    for variable in row.key_variables:
        for name, is_list in _variables(variable):
            if text := env.get(name):
                texts = _SEVERAL.split(text) if is_list else (text,)
                yield from (key for one in texts if (key := _usable(one)))


@cache
def _variables(name: str) -> tuple[tuple[str, bool], ...]:
    """The variables that can hold keys, and whether each is a list. Cached, as every start asks for hundreds."""
    return ((name, False), (f"{name}S", True), *((f"{name}_{number}", False) for number in range(1, 10)))
