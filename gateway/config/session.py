"""`session`: how conversations are stored."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from gateway.config import accepted
from gateway.config.section import Milliseconds, PositiveCount, Section

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")


def _seconds(value: object) -> object:
    """OpenClaw's durations: `"30d"`, `"12h"`, a bare number means days."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value * _UNITS["d"]
    match = _DURATION.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a duration: write a number with a unit, such as "7d", "12h" or "30m"')
    return float(match[1]) * _UNITS[match[2] or "d"]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
"""OpenClaw's spelling in the file, seconds here."""


class MaintenanceConfig(Section):
    """`prune_after` is seconds: a conversation that is idle for this long is deleted."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MAINTENANCE

    prune_after: Duration = 7 * _UNITS["d"]


class SessionConfig(Section):
    """`session`. `max_bytes` (ours) caps the stored history of one conversation; the oldest turns go first, and with
    `compaction` (ours) "summarize" the agent's model summarises them before. `wait_ms` (ours) is how long a request
    waits for another one on the same conversation. `from_user` (ours): the field `user` of a request names one.
    """

    UNUSED: ClassVar[frozenset[str]] = accepted.SESSION

    maintenance: MaintenanceConfig = MaintenanceConfig()
    max_bytes: PositiveCount = 2 * 1024 * 1024
    wait_ms: Milliseconds = 30_000
    compaction: Literal["drop", "summarize"] = "drop"
    from_user: bool = True
