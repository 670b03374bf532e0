"""Encodes how much a model should reason as `thinkingConfig`: https://ai.google.dev/gemini-api/docs/thinking."""

from typing import Any

from gateway.core.turn import Options
from gateway.wire.efforts import nearest_effort
from gateway.wire.google_generative.profile import Generation, Profile, generation_of, profile_of
from gateway.wire.model import ModelSpec

_BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}


def thinking_config(options: Options, model: ModelSpec, operator: str | None) -> dict[str, Any] | None:
    """The client's effort or budget, else the operator's effort; None leaves all to the model.

    The thoughts are asked for whenever the model reasons: they are the only sign of life before the first word.
    """
    profile, generation = profile_of(model), generation_of(model.id)
    effort = options.effort or operator
    if not profile.thinks or generation.thinking == "none":
        return None
    if options.thinking_budget is not None and options.effort is None:
        return _budget(options.thinking_budget, generation)
    if effort is None:
        return {"includeThoughts": True} if model.reasoning else None
    effort = profile.effort_map.get(effort, effort)
    if profile.efforts:
        effort = nearest_effort(effort, profile.efforts)
    if generation.thinking == "budget":
        return _budget(0 if effort in ("none", "off") else _BUDGETS.get(effort, -1), generation)
    return _level(effort, profile, generation)


def _budget(tokens: int, generation: Generation) -> dict[str, Any]:
    """`thinkingBudget` within the model's limits; -1 lets the model decide."""
    if tokens >= 0:
        tokens = min(max(tokens, generation.min_budget), generation.max_budget)
    return {"thinkingBudget": tokens, "includeThoughts": tokens != 0}


def _level(effort: str, profile: Profile, generation: Generation) -> dict[str, Any]:
    """`thinkingLevel`. These models can't stop thinking: without any, the least is sent, and its thoughts not shown."""
    if effort in ("none", "off"):
        return {"thinkingLevel": generation.levels[0].upper(), "includeThoughts": False}
    level = effort if effort in profile.efforts else nearest_effort(effort, generation.levels)
    return {"thinkingLevel": level.upper(), "includeThoughts": True}
