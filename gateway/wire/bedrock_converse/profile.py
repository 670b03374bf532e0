"""The quirks of one model behind the Converse API, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.wire.claude import Abilities, abilities_of
from gateway.wire.claude_thinking import with_efforts
from gateway.wire.efforts import ANY_EFFORT, Efforts, efforts_from
from gateway.wire.model import ModelSpec

_NAMES = {
    "supports_tool_choice": "tool_choice",
    "supports_prompt_cache": "cache",
    "supports_temperature": "sampling",
    "supports_json_schema_response_format": "json_schema",
    "accepts_prefill": "prefill",
}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model accepts; None means what its id says.

    `tool_choice`: a choice that demands a call. `efforts`: how it can be asked to reason. `cache`: `cachePoint`.
    `sampling`: temperature and top_p. `json_schema`, `prefill`: as in `Abilities`.
    """

    tool_choice: bool = True
    efforts: Efforts = ANY_EFFORT
    cache: bool | None = None
    sampling: bool | None = None
    json_schema: bool | None = None
    prefill: bool | None = None

    def abilities(self, model: ModelSpec) -> Abilities:
        """What this model accepts."""
        known = abilities_of(model.id)
        if self.efforts is not ANY_EFFORT:
            known = with_efforts(known, self.efforts)
        own = {name: value for name in _REPLACED if (value := getattr(self, name)) is not None}
        return replace(known, **own) if own else known

    def caches(self, model: ModelSpec) -> bool:
        """Whether the model accepts `cachePoint`: those of Claude and Nova do."""
        return self.cache if self.cache is not None else abilities_of(model.id).caches or "amazon.nova" in model.id


_REPLACED = ("sampling", "json_schema", "prefill")
DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    return replace(DEFAULT, efforts=efforts_from(quirks), **given)  # type: ignore[arg-type]  # rows are checked where they are read


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
