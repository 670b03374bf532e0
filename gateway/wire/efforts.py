"""How much a model should reason, from the client's word to the nearest one that a model knows."""

from collections.abc import Sequence

_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def nearest_effort(effort: str, supported: Sequence[str]) -> str:
    """The supported effort nearest to `effort`, the higher of two; `effort` itself if it or all of them are unknown."""
    ranks = {name: _ORDER.index(name) for name in supported if name in _ORDER}
    if effort in supported or effort not in _ORDER or not ranks:
        return effort
    wanted = _ORDER.index(effort)
    return min(ranks, key=lambda name: (abs(ranks[name] - wanted), -ranks[name]))
