"""One clock for all instances: the server's, which stays continuous when the server's time is set.

Scripts add `correction` to the server's time. When the time is set, the first instance that notices changes the
correction by as much, so that locks and windows last as long as they would have.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from openclaw_ratelimit.peer import Argument, Ask
from openclaw_ratelimit.script import Script

CLOCK = Script.beside(__package__, "clock.lua")

_MAX_DRIFT = 0.1  # seconds by which two exact readings may differ without the server's time having been set
_AGEING = 0.001  # seconds of error for each second since a reading: clocks drift far less


class _Reading(NamedTuple):
    """What has to be added to the local time, right to `error` seconds, at the local time `at`."""

    offset: float
    error: float
    at: float
    correction: int  # milliseconds


_ELAPSED: int | None = getattr(time, "CLOCK_BOOTTIME", None)

elapsed: Callable[[], float] = time.monotonic if _ELAPSED is None else partial(time.clock_gettime, _ELAPSED)
"""Seconds that go on while the machine sleeps, unlike `time.monotonic`. A builtin, as good requests call it."""


class ServerClock:
    """The shared time in seconds, estimated from the local clock; before the first reading, the local clock."""

    def __init__(self, local: Callable[[], float]) -> None:
        self.local = local
        self._offset = 0.0
        self._last: _Reading | None = None
        self._followers: list[Callable[[float], object]] = []

    def __call__(self) -> float:
        """The time now."""
        return self.local() + self._offset

    def follow(self, shift: Callable[[float], object]) -> None:
        """Call `shift` with the seconds by which this clock jumps, so that times can be moved along."""
        self._followers.append(shift)

    async def read(self, ask: Ask, key: str, server_time: Callable[[], str]) -> bool:
        """Compare with the server; whether its time was found to have been set. Raises StorageUnavailable."""
        reading = await self._read(ask, key, ("read", server_time()))
        last = self._last
        if last is None:
            self._adopt(reading, shifts=True)
            return False
        if not self._differs(reading, last):
            if reading.error <= last.error + (reading.at - last.at) * _AGEING:
                self._adopt(reading, shifts=False)  # a better estimate is no jump
            return False
        # Otherwise another instance has corrected it, and that holds; 0 is a correction that was lost with the data.
        if reading.correction in (last.correction, 0):
            wanted = reading.correction - round((reading.offset - last.offset) * 1000)
            reading = await self._read(ask, key, ("correct", server_time(), reading.correction, wanted))
        self._adopt(reading, shifts=self._differs(reading, last))
        return True

    async def _read(self, ask: Ask, key: str, words: tuple[Argument, ...]) -> _Reading:
        sent = self.local()
        server, correction = await ask(CLOCK, [key], words)
        now = self.local()
        return _Reading((server + correction) / 1000 - (sent + now) / 2, (now - sent) / 2, now, correction)

    @staticmethod
    def _differs(reading: _Reading, last: _Reading) -> bool:
        """Whether the shared time has jumped, by more than both readings may be wrong."""
        error = last.error + reading.error + (reading.at - last.at) * _AGEING
        return abs(reading.offset - last.offset) > _MAX_DRIFT + error

    def _adopt(self, reading: _Reading, *, shifts: bool) -> None:
        jump, self._offset, self._last = reading.offset - self._offset, reading.offset, reading
        if shifts:
            for shift in self._followers:
                shift(jump)
