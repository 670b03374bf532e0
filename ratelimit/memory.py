"""A storage for strategies of `limits` that lives in this process and takes its clock from outside.

`limits` has a memory storage of its own, but that one reads the wall clock, and each hit starts a background task with
a thread hop that nobody awaits (5.8: about 100 µs of processor time per hit; this one: under 1).
"""

from collections import deque
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, Storage


class ProcessStorage(Storage, MovingWindowSupport):
    """Counters and moving windows in dictionaries; for few keys, because only `reset` and `clear` remove any."""

    STORAGE_SCHEME = None  # Never made from a URI: it needs its clock.

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counters: dict[str, tuple[int, float]] = {}
        self._windows: dict[str, deque[float]] = {}

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """Nothing here can be unavailable."""
        return ()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take `amount` places of `limit` in the moving window of `expiry` seconds, all or none."""
        times = self._window(key, expiry)
        if len(times) + amount > limit:
            return False
        times.extend([self._clock()] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest place of the window was taken (now, if none is), and how many are, at most `limit`."""
        times = self._window(key, expiry)
        return (times[0] if times else self._clock()), min(len(times), limit)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter that starts over `expiry` seconds after its first addition."""
        now = self._clock()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + expiry
        self._counters[key] = count + amount, until
        return count + amount

    async def get(self, key: str) -> int:
        """A counter's value, 0 when it is over."""
        count, until = self._counters.get(key, (0, 0.0))
        return count if until > self._clock() else 0

    async def get_expiry(self, key: str) -> float:
        """When a counter starts over, by the storage's clock."""
        return self._counters.get(key, (0, self._clock()))[1]

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def reset(self) -> int | None:
        """Forget everything; says how many keys."""
        forgotten = len(self._counters.keys() | self._windows.keys())
        self._counters.clear()
        self._windows.clear()
        return forgotten

    async def clear(self, key: str) -> None:
        """Forget one key."""
        self._counters.pop(key, None)
        self._windows.pop(key, None)

    def _window(self, key: str, expiry: int) -> deque[float]:
        times = self._windows.setdefault(key, deque())
        oldest = self._clock() - expiry
        while times and times[0] <= oldest:
            times.popleft()
        return times
