"""How long an agent may run tools before it has to answer."""

from msgspec import Struct


class ToolLimits(Struct, frozen=True):
    """Of one run: how often the model may ask for tools, and the seconds from its start in which they are run."""

    rounds: int = 16
    seconds: float = 300.0


DEFAULT_LIMITS = ToolLimits()
