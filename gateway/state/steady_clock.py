"""Unix time that a step of the system clock does not move at once.

Stored data expires by Unix time. If the clock steps, because it was wrong or is wrong now, data would expire that was
used a moment ago. So a step is ignored until the clock has stayed at its new time for some minutes; a clock that is
wrong for one request changes nothing.
"""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_SETTLE = 600.0  # seconds after which a step is accepted
_TOLERANCE = 2.0  # seconds between two looks that are no step; NTP slews slower than that


class SteadyClock:
    """Call it for Unix time in seconds. `wall` is the system clock, `monotonic` never steps."""

    def __init__(
        self,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        settle: float = _SETTLE,
        tolerance: float = _TOLERANCE,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._settle = settle
        self._tolerance = tolerance
        self._offset = wall() - monotonic()
        self._stepped: tuple[float, float] | None = None  # the offset after a step, and when it was first seen

    def __call__(self) -> float:
        """Unix time in seconds."""
        now = self._monotonic()
        offset = self._wall() - now
        if abs(offset - self._offset) <= self._tolerance:
            self._offset, self._stepped = offset, None
        elif self._stepped is None or abs(offset - self._stepped[0]) > self._tolerance:
            log.warning(
                "The system clock has stepped", seconds=round(offset - self._offset, 1), accepted_in_s=self._settle
            )
            self._stepped = offset, now
        elif now - self._stepped[1] >= self._settle:
            self._offset, self._stepped = offset, None
        return now + self._offset
