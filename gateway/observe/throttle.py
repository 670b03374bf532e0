"""Bounds how much is logged about what others can cause at will, so that an attack neither fills the disk nor hides."""

from collections.abc import Callable, Hashable

_PAUSE = 10.0  # seconds between two lines about the same key
_BURST = 50  # lines about different keys at once …
_REFILL = 1.0  # … and lines a second after that


class Throttle:
    """Says which lines are worth writing. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[Hashable, float] = {}
        self._tokens = float(_BURST)
        self._refilled = clock()
        self._suppressed = 0

    def admit(self, key: Hashable) -> int | None:
        """How many lines were left out since the last one, or None when this one is to be left out too."""
        now = self._clock()
        last = self._written.get(key)
        if last is not None and now - last < _PAUSE:
            self._suppressed += 1
            return None
        self._tokens = min(_BURST, self._tokens + (now - self._refilled) * _REFILL)
        self._refilled = now
        if self._tokens < 1:
            self._suppressed += 1
            return None
        self._tokens -= 1
        # What has expired goes, so that no more is remembered than was written within one pause.
        self._written = {key: at for key, at in self._written.items() if now - at < _PAUSE} | {key: now}
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
