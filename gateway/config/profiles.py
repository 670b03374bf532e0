"""`auth`: the API keys and logins of an OpenClaw installation (`profiles`), as its file names them and its stores hold
them.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from gateway.config import accepted
from gateway.config.provider_ids import same_provider
from gateway.config.section import Section


class ProfileConfig(Section):
    """One login. `key` is filled in from the stores of the installation (`gateway.config.profile_store`)."""

    UNUSED: ClassVar[frozenset[str]] = accepted.PROFILE

    provider: str
    mode: Literal["api_key", "token", "oauth", "aws-sdk"] = "api_key"
    key: SecretStr | None = None
    """Ours, in a file: the key itself, or a reference."""


class ProfilesConfig(Section):
    """`auth`. `order` names the profiles of a provider in the order in which they are used."""

    UNUSED: ClassVar[frozenset[str]] = accepted.PROFILES

    profiles: dict[str, ProfileConfig] = Field(default_factory=dict)
    order: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def keys_of(self, provider: str) -> tuple[str, ...]:
        """The API keys of a provider, in order, each once."""
        keys = (profile.key for _, profile in self.of(provider) if profile.mode != "oauth")
        return tuple(dict.fromkeys(text for key in keys if key is not None and (text := key.get_secret_value())))

    def of(self, provider: str) -> Iterator[tuple[str, ProfileConfig]]:
        """The profiles of a provider, under any of its ids: those of its `order`, or all."""
        provider = same_provider(provider)
        wanted = {same_provider(name): names for name, names in self.order.items()}.get(provider)
        for name in self.profiles if wanted is None else wanted:
            profile = self.profiles.get(name)
            if profile is not None and same_provider(profile.provider) == provider:
                yield name, profile
