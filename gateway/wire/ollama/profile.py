"""The quirks of one model behind Ollama's format, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.wire.efforts import nearest_effort
from gateway.wire.model import ModelSpec

LEVELS = ("low", "medium", "high", "max")
"""The levels of `think`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`thinks`: understands `think`, False for a model that refuses it. `efforts`: the levels of `think` that the model
    knows. `effort_map`: an effort of the client → the value for `think`.
    """

    thinks: bool = True
    efforts: tuple[str, ...] = LEVELS
    effort_map: Mapping[str, str] = field(default_factory=dict)


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    efforts, effort_map = quirks.get("supported_reasoning_efforts"), quirks.get("reasoning_effort_map")
    return Profile(
        thinks=quirks.get("supports_reasoning_effort") is not False,
        efforts=tuple(map(str, efforts)) if isinstance(efforts, tuple | list) else LEVELS,
        effort_map={str(k): str(v) for k, v in effort_map.items()} if isinstance(effort_map, Mapping) else {},
    )


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT


def think_of(effort: str, profile: Profile) -> bool | str:
    """The value of `think` for a client's effort."""
    if effort in ("none", "off"):
        return False
    return profile.effort_map.get(effort) or nearest_effort(effort, profile.efforts)
