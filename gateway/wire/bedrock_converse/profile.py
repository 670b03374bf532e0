"""The quirks of one model behind the Converse API, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.wire.claude import Abilities, abilities_of
from gateway.wire.model import ModelSpec

_NAMES = {"supports_tool_choice": "tool_choice", "supports_prompt_cache": "cache", "supports_temperature": "sampling"}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model accepts. `tool_choice`: a choice that demands a call. `cache`: `cachePoint`, None for what its id
    says. `sampling`: temperature and top_p, None likewise.
    """

    tool_choice: bool = True
    cache: bool | None = None
    sampling: bool | None = None

    def abilities(self, model: ModelSpec) -> Abilities:
        """What this model accepts."""
        known = abilities_of(model.id)
        return known if self.sampling is None else replace(known, sampling=self.sampling)

    def caches(self, model: ModelSpec) -> bool:
        """Whether the model accepts `cachePoint`: those of Claude and Nova do."""
        return self.cache if self.cache is not None else abilities_of(model.id).caches or "amazon.nova" in model.id


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    return replace(DEFAULT, **given)  # type: ignore[arg-type]  # rows are checked where they are read


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
