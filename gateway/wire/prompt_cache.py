"""How long a provider caches a prompt: from the client's field or OpenClaw's `cacheRetention` in `params`."""

from collections.abc import Mapping
from typing import Any, Literal

from gateway.core.turn import Turn
from gateway.wire.model import ModelSpec

RETENTION_PARAM = "cacheRetention"
"""OpenClaw's name for it in `params`: `none`, `short` or `long`. No provider knows this field."""

_HOUR = frozenset({"24h", "1h", "long"})
_NEVER = frozenset({"none", "off"})


def lifetime(retention: str | None) -> Literal["5m", "1h"] | None:
    """The lifetime of Anthropic's cache for a client's or an operator's word; None to cache nothing."""
    if retention in _NEVER:
        return None
    return "1h" if retention in _HOUR else "5m"


def retention_of(turn: Turn, model: ModelSpec) -> str | None:
    """The client's retention, else that of the operator for this agent or model."""
    if turn.options.cache_retention is not None:
        return turn.options.cache_retention
    for params in (turn.params, model.params):
        if params and isinstance(word := params.get(RETENTION_PARAM), str):
            return word
    return None


def cache_control(retention: str | None) -> Mapping[str, Any] | None:
    """Anthropic's mark of a breakpoint; None to cache nothing."""
    match lifetime(retention):
        case None:
            return None
        case "1h":
            return {"type": "ephemeral", "ttl": "1h"}
        case _:
            return {"type": "ephemeral"}
