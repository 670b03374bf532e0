"""Limits log lines that a client can cause, so that an attack neither fills the disk nor hides another attack."""

from collections.abc import Callable, Hashable

_INTERVAL = 10.0  # seconds between two lines with the same key
_BURST = 50  # lines with different keys at once …
_REFILL = 1.0  # … and lines per second after that


class Throttle:
    """Decides which lines to write. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_lines: dict[Hashable, float] = {}
        self._tokens = float(_BURST)
        self._refilled = clock()
        self._suppressed = 0

    def admit(self, key: Hashable) -> int | None:
        """The number of suppressed lines since the last one, or None if this line is suppressed too."""
        now = self._clock()
        last = self._last_lines.get(key)
        if last is not None and now - last < _INTERVAL:
            self._suppressed += 1
            return None
        self._tokens = min(_BURST, self._tokens + (now - self._refilled) * _REFILL)
        self._refilled = now
        if self._tokens < 1:
            self._suppressed += 1
            return None
        self._tokens -= 1
        # Drop expired keys, so that memory holds only the lines of one interval.
        self._last_lines = {key: at for key, at in self._last_lines.items() if now - at < _INTERVAL} | {key: now}
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
