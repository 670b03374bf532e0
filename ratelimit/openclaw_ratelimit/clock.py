"""One clock for all instances: the server's, which stays continuous when the server's time is set.

Scripts add `correction` to the server's time. When the time is set, the first instance that notices changes the
correction by as much, so that locks and windows last as long as they would have.
"""

import time
from collections.abc import Callable

from openclaw_ratelimit.peer import Ask
from openclaw_ratelimit.script import Script

CLOCK = Script.beside(__package__, "clock.lua")

_MAX_DRIFT = 0.1  # seconds by which two readings may differ without the server's time having been set


def elapsed() -> float:
    """Seconds that go on while the machine sleeps, unlike `time.monotonic`."""
    return time.clock_gettime(_ELAPSED) if _ELAPSED is not None else time.monotonic()


_ELAPSED: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class ServerClock:
    """The shared time in seconds, estimated from the local clock; before the first reading, the local clock."""

    def __init__(self, local: Callable[[], float]) -> None:
        self.local = local
        self._offset = 0.0
        self._correction: float | None = None
        self._followers: list[Callable[[float], object]] = []

    def __call__(self) -> float:
        """The time now."""
        return self.local() + self._offset

    def follow(self, shift: Callable[[float], object]) -> None:
        """Call `shift` with the seconds by which this clock jumps, so that times can be moved along."""
        self._followers.append(shift)

    async def read(self, ask: Ask, key: str, server_time: str) -> bool:
        """Compare with the server; whether its time was found to have been set. Raises StorageUnavailable."""
        sent = self.local()
        server, correction = await ask(CLOCK, [key], ["read", server_time])
        if not (jump := self._jump(sent, server, correction)):
            self._adopt(sent, server, correction)
            return False
        # Otherwise another instance has corrected it, and that holds; 0 is a correction that was lost with the data.
        if correction in (self._correction, 0):
            wanted = correction - round(jump * 1000)
            sent = self.local()
            server, correction = await ask(CLOCK, [key], ["correct", server_time, correction, wanted])
        self._adopt(sent, server, correction)
        return True

    def _jump(self, sent: float, server: int, correction: int) -> float:
        if self._correction is None:
            return 0.0
        jump = (server + correction) / 1000 - (sent + self.local()) / 2 - self._offset
        return jump if abs(jump) > max(_MAX_DRIFT, self.local() - sent) else 0.0

    def _adopt(self, sent: float, server: int, correction: int) -> None:
        offset = (server + correction) / 1000 - (sent + self.local()) / 2
        jump, self._offset, self._correction = offset - self._offset, offset, correction
        if abs(jump) > _MAX_DRIFT:
            for shift in self._followers:
                shift(jump)
