"""Measures how late the event loop runs what is due: the time in which no request gets anything."""

import asyncio

_INTERVAL = 0.25  # seconds between two measurements
_WINDOW = 30.0  # seconds; the last whole window and the running one are reported


class LoopDelay:
    """Measures from `start` to `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._window_end = 0.0
        self._now = self._before = 0.0

    def start(self) -> None:
        """Begin to measure."""
        now = self._loop.time()
        self._window_end = now + _WINDOW
        self._plan(now)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def max_delay(self) -> float:
        """The longest delay of the last half minute or more, in seconds."""
        return max(self._now, self._before)

    def measure(self) -> None:
        """Take one measurement; the timer calls it."""
        now = self._loop.time()
        if now >= self._window_end:
            self._before, self._now, self._window_end = self._now, 0.0, now + _WINDOW
        self._now = max(self._now, now - self._due)
        self._plan(now)

    def _plan(self, now: float) -> None:
        self._due = now + _INTERVAL
        self._timer = self._loop.call_at(self._due, self.measure)
