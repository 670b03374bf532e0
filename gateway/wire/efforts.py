"""How much a model should reason: from the client's word to the nearest one that a model knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.turn import Turn
from gateway.wire.model import ModelSpec

_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEVELS_WITHOUT_EFFORT = {"adaptive": "medium", "on": "medium"}
"""OpenClaw's levels that name no effort → the effort for a model that has to be given one."""
OFF = ("none", "off", "disabled", "", False)
_PARAMS = ("thinking", "reasoning_effort", "reasoningEffort", "reasoning", "think")
"""The names under which operators configure an effort in `params`, whatever the wire format."""


def asks_to_reason(turn: Turn, model: ModelSpec) -> bool:
    """Whether the client, or the operator for this agent or model, asks for reasoning, so that silence may be long."""
    options = turn.options
    if options.effort is not None:
        return options.effort not in OFF
    if options.thinking_budget is not None:
        return options.thinking_budget > 0
    if not (turn.params or model.params):
        return False
    params = {**(model.params or {}), **(turn.params or {})}
    given = [params[name] for name in _PARAMS if name in params]
    return any(isinstance(value, dict) or (value is not None and value not in OFF) for value in given)


def nearest_effort(effort: str, supported: Sequence[str]) -> str:
    """The supported effort nearest to `effort`, the higher of two; `effort` itself if it or all of them are unknown."""
    ranks = {name: _ORDER.index(name) for name in supported if name in _ORDER}
    if effort not in supported:
        effort = LEVELS_WITHOUT_EFFORT.get(effort, effort)
    if effort in supported or effort not in _ORDER or not ranks:
        return effort
    wanted = _ORDER.index(effort)
    return min(ranks, key=lambda name: (abs(ranks[name] - wanted), -ranks[name]))


def map_of_levels(levels: Mapping[str, str | None]) -> dict[str, str]:
    """The efforts to send, from OpenClaw's map of thinking levels: the level (`off`, `minimal`, … `max`) → the model's
    own word for it, or None if the model has no such level. A client that asks for one gets the nearest that it has.
    """
    words = {"none" if level == "off" else level: word for level, word in levels.items()}
    known = [level for level in _ORDER[1:] if words.get(level, level) is not None]  # no level becomes `none`
    nearest = ((level, level if word is not None else nearest_effort(level, known)) for level, word in words.items())
    return {level: words.get(other) or other for level, other in nearest}


@dataclass(frozen=True, slots=True)
class Efforts:
    """What a row says of a model's efforts: whether it accepts any, which (empty: those of its format), and words of
    the client that stand for others.
    """

    accepted: bool = True
    supported: tuple[str, ...] = ()
    mapped: Mapping[str, str] = field(default_factory=dict)

    def named(self, effort: str | None) -> str | None:
        """The row's word for the effort, else the effort itself."""
        return effort if effort is None else self.mapped.get(effort, effort)

    def of(self, effort: str) -> str:
        """The effort for the model."""
        own = self.mapped.get(effort)
        return own if own is not None else nearest_effort(effort, self.supported)


ANY_EFFORT = Efforts()


def efforts_from(quirks: Mapping[str, object]) -> Efforts:
    """What a row's quirks say (`supports_reasoning_effort`, `supported_reasoning_efforts`, `reasoning_effort_map`)."""
    supported, mapped = quirks.get("supported_reasoning_efforts"), quirks.get("reasoning_effort_map")
    efforts = Efforts(
        quirks.get("supports_reasoning_effort") is not False,
        tuple(map(str, supported)) if isinstance(supported, tuple | list) else (),
        {str(name): str(value) for name, value in mapped.items()} if isinstance(mapped, Mapping) else {},
    )
    return ANY_EFFORT if efforts == ANY_EFFORT else efforts
