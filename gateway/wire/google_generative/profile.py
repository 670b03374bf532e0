"""The quirks of one model behind Google's format: what a row says, and what the model's name says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.wire.efforts import ANY_EFFORT, Efforts, efforts_from
from gateway.wire.model import ModelSpec

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Profile:
    """`efforts`: how the model thinks; one that accepts none refuses `thinkingConfig`. `sampling`: accepts temperature,
    top_p, top_k and penalties. `tool_choice`: accepts a mode that demands a call.
    """

    efforts: Efforts = ANY_EFFORT
    sampling: bool = True
    tool_choice: bool = True


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    return Profile(
        efforts_from(quirks),
        sampling=quirks.get("supports_temperature") is not False,
        tool_choice=quirks.get("supports_tool_choice") is not False,
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
    inside function responses. `schema_with_tools`: takes a response schema together with tools. `pdfs`: reads them.
    """

    thinking: str = "level"
    levels: tuple[str, ...] = ("minimal", "low", "medium", "high")
    min_budget: int = 0
    max_budget: int = 24_576
    signs_calls: bool = True
    media_in_results: bool = True
    schema_with_tools: bool = True
    pdfs: bool = True


@lru_cache(256)
def generation_of(model_id: str) -> Generation:
    """The generation of a model id, such as `gemini-2.5-pro`."""
    name = model_id.lower()
    is_pro = "pro" in name
    if "gemma" in name:
        return Generation("none", signs_calls=False, media_in_results=False, schema_with_tools=False, pdfs=False)
    version = _NAME.search(name)
    if version is not None and int(version[1]) < 3:
        thinks = (int(version[1]), int(version[2] or 0)) >= (2, 5)
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
