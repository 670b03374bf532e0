"""The quirks of one model behind Ollama's format, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.wire.efforts import ANY_EFFORT, Efforts, efforts_from, nearest_effort
from gateway.wire.model import ModelSpec

LEVELS = ("low", "medium", "high", "max")
"""The levels of `think`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`efforts`: how the model thinks; one that accepts none refuses `think`. `sampling`: accepts temperature, top_p,
    top_k and penalties.
    """

    efforts: Efforts = ANY_EFFORT
    sampling: bool = True


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    return Profile(efforts_from(quirks), sampling=quirks.get("supports_temperature") is not False)


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT


def think_of(effort: str, profile: Profile) -> bool | str:
    """The value of `think` for an effort."""
    if effort in ("none", "off"):
        return False
    own = profile.efforts.of(effort)
    return own if effort in profile.efforts.mapped else nearest_effort(own, LEVELS)
