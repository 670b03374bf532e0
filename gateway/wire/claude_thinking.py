"""Decides how a model is asked to reason, from the neutral effort and budget
(https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking).
"""

from dataclasses import replace
from typing import Any

from gateway.wire.claude import Abilities
from gateway.wire.efforts import Efforts

_MIN_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 30_000}
_BUDGETS |= {"adaptive": _BUDGETS["medium"], "on": _BUDGETS["medium"]}
_ORDER = ("low", "medium", "high", "xhigh", "max")
_OFF = ("none", "off", "disabled")


def with_efforts(abilities: Abilities, efforts: Efforts) -> Abilities:
    """The abilities of a model whose row says which efforts it accepts."""
    if not efforts.accepted:
        return replace(abilities, thinking="none", efforts=())
    known = efforts.supported or abilities.efforts
    if abilities.thinking == "adaptive":
        known = (*known, *efforts.mapped.values())
    return replace(abilities, efforts=known)


def add_thinking(body: dict[str, Any], effort: str | None, budget: int | None, abilities: Abilities) -> None:
    """Set `thinking` and the effort in `body`, whose `max_tokens` is set. Without effort and budget, the fields of the
    operator's `params` apply, else the model's default.
    """
    if (effort is None and budget is None) or abilities.thinking == "none":
        return
    if abilities.thinking == "budget":
        _add_budget(body, _level(effort, abilities.efforts) if abilities.efforts else effort, budget)
        return
    body.pop("thinking", None)
    if effort in _OFF or budget == 0:
        if not abilities.thinks_always:
            body["thinking"] = {"type": "disabled"}
            return
        effort = "low"
    level = _level(effort, abilities.efforts)
    body["thinking"] = {"type": "adaptive", "display": "summarized"}
    if level is not None:
        body["output_config"] = {**body.get("output_config", {}), "effort": level}


def fits(thinking: Any, max_tokens: int, abilities: Abilities) -> bool:
    """Whether a client's own `thinking` is one that the model accepts as it is."""
    match thinking.get("type") if isinstance(thinking, dict) else None:
        case "enabled":
            budget = thinking.get("budget_tokens")
            return abilities.thinking == "budget" and type(budget) is int and _MIN_BUDGET <= budget < max_tokens
        case "adaptive":
            return abilities.thinking == "adaptive"
        case "disabled":
            return abilities.thinking != "none" and not abilities.thinks_always
        case _:
            return False


def level_of(effort: Any, abilities: Abilities) -> str | None:
    """The effort, else the next lower one that the model knows, else its lowest; None without one."""
    return _level(effort, abilities.efforts) if isinstance(effort, str) else None


def _add_budget(body: dict[str, Any], effort: str | None, budget: int | None) -> None:
    body.pop("thinking", None)
    wanted = budget if budget is not None else _BUDGETS.get(effort or "", 0)
    # It must be less than `max_tokens`; a client that allows so little wants an answer, not reasoning.
    tokens = min(wanted, body["max_tokens"] - 1)
    if tokens >= _MIN_BUDGET:
        body["thinking"] = {"type": "enabled", "budget_tokens": tokens}


def _level(effort: str | None, known: tuple[str, ...]) -> str | None:
    """The effort, else the next lower one that the model knows, else its lowest."""
    if effort is None or effort in known:
        return effort
    effort = "low" if effort == "minimal" else effort
    if effort not in _ORDER:
        return None
    lower = [level for level in _ORDER[: _ORDER.index(effort) + 1] if level in known]
    higher = [level for level in _ORDER if level in known]
    return lower[-1] if lower else next(iter(higher), None)


def thinks(body: dict[str, Any]) -> bool:
    """Whether the request asks for reasoning."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
