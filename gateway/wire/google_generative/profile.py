"""The quirks of one model behind Google's format: what a row says, and what the model's name says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.wire.model import ModelSpec

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Profile:
    """`thinks`: understands `thinkingConfig`, False for a model that refuses it. `efforts`: the efforts that the model
    knows, empty for those of its generation. `effort_map`: an effort of the client → one of the model.
    """

    thinks: bool = True
    efforts: tuple[str, ...] = ()
    effort_map: Mapping[str, str] = field(default_factory=dict)


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    efforts, effort_map = quirks.get("supported_reasoning_efforts"), quirks.get("reasoning_effort_map")
    return Profile(
        thinks=quirks.get("supports_reasoning_effort") is not False,
        efforts=tuple(map(str, efforts)) if isinstance(efforts, tuple | list) else (),
        effort_map={str(k): str(v) for k, v in effort_map.items()} if isinstance(effort_map, Mapping) else {},
    )


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT


@dataclass(frozen=True, slots=True)
class Generation:
    """What follows from a model's name. A name that says nothing counts as a current Gemini.

    `thinking`: by `level` (Gemini 3), by a `budget` of tokens (2.5), or `none`. `min_budget` is 0 where thinking can be
    switched off. `signs_calls`: refuses calls in the history without their signatures. `media_in_results`: reads images
    inside function responses. `schema_with_tools`: takes a response schema together with tools.
    """

    thinking: str = "level"
    levels: tuple[str, ...] = ("minimal", "low", "medium", "high")
    min_budget: int = 0
    max_budget: int = 24_576
    signs_calls: bool = True
    media_in_results: bool = True
    schema_with_tools: bool = True


@lru_cache(256)
def generation_of(model_id: str) -> Generation:
    """The generation of a model id, such as `gemini-2.5-pro`."""
    name = model_id.lower()
    is_pro = "pro" in name
    if "gemma" in name:
        return Generation("none", signs_calls=False, media_in_results=False, schema_with_tools=False)
    found = _NAME.search(name)
    if found is not None and int(found[1]) < 3:
        thinks = (int(found[1]), int(found[2] or 0)) >= (2, 5)
        return Generation(
            "budget" if thinks else "none",
            min_budget=128 if is_pro else 0,
            max_budget=32_768 if is_pro else 24_576,
            signs_calls=False,
            media_in_results=False,
            schema_with_tools=False,
        )
    if is_pro:
        levels = ("low", "high") if "gemini-3-pro" in name else ("low", "medium", "high")
        return Generation(levels=levels)
    return Generation()
