"""Counts everybody's failures together, so that changing keys does not defeat the limit per key.

Built on the moving window of `limits`; the per-key limit is the business of `records`. This is one process's view; what
other instances report comes in by `count`, `close` and `know`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from limits import RateLimitItemPerSecond
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter

from ratelimit.memory import ProcessStorage
from ratelimit.policy import BudgetPolicy

_ALL = "all"  # the window's key: one budget for everybody


class FailureBudget:
    """All failures within the window. While the budget lasts, nobody notices it. When it is spent, keys that had a
    success lately go on as ever (so nobody can lock an owner out), the others are strangers: each gets one attempt per
    interval, and all of them together as many per window again as the budget has. Right and wrong attempts of a
    stranger are treated alike, or the difference would tell them apart.

    `storage` may be any asynchronous storage of `limits`; `clock` must be the one it uses (the wall clock, for those
    that `limits` ships). At most `capacity` successes are remembered, the oldest making room.
    """

    def __init__(
        self,
        policy: BudgetPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        storage: Storage | None = None,
        capacity: int = 10_000,
    ) -> None:
        self.policy = policy or BudgetPolicy()
        self._clock = clock
        self._capacity = capacity
        self._windows = MovingWindowRateLimiter(storage or ProcessStorage(clock))
        self._failures = RateLimitItemPerSecond(self.policy.failures, self.policy.window, "failures")
        self._reserve = RateLimitItemPerSecond(self.policy.failures, self.policy.window, "strangers")
        self._spent_until = 0.0
        self._successes: OrderedDict[str, float] = OrderedDict()
        self._attempts: OrderedDict[str, float] = OrderedDict()

    def closed_to(self, key: str) -> bool:
        """Whether the budget is spent and `key` a stranger, so that even a success has to ask `charge`."""
        return self._spent_until > self._clock() and not self._knows(key)

    def remember(self, key: str) -> bool:
        """`key` had a success; whether that was news."""
        last = self._successes.get(key)
        if last is not None and self._clock() - last < self.policy.memory / 24:
            return False  # Exact to an hour in a day is enough, and this runs on every good request.
        self.know(key, 0.0)
        return True

    def know(self, key: str, age: float) -> None:
        """`key` had a success so many seconds ago."""
        self._successes[key] = max(self._clock() - age, self._successes.get(key, 0.0))
        self._successes.move_to_end(key)
        if len(self._successes) > self._capacity:
            self._successes.popitem(last=False)

    def known(self) -> Iterator[tuple[str, float]]:
        """Keys with a success that is still remembered, and the seconds since."""
        now = self._clock()
        for key, last in list(self._successes.items()):
            if now - last < self.policy.memory:
                yield key, now - last

    async def charge(self, key: str, *, failed: bool) -> float:
        """Count one attempt of `key`; 0.0 when its result may be told, else the seconds to wait before the next."""
        if self._spent_until > self._clock():
            return 0.0 if self._knows(key) else await self._ration(key)
        if failed:
            await self.count()
        return 0.0

    async def count(self) -> None:
        """One failure of anybody."""
        await self._windows.hit(self._failures, _ALL)
        reset_time, remaining = await self._windows.get_window_stats(self._failures, _ALL)
        if remaining == 0:
            self._spent_until = reset_time

    def close(self, seconds: float) -> None:
        """The budget is spent for so long."""
        self._spent_until = max(self._spent_until, self._clock() + seconds)

    async def _ration(self, key: str) -> float:
        now = self._clock()
        while self._attempts and next(iter(self._attempts.values())) <= now - self.policy.interval:
            self._attempts.popitem(last=False)
        last = self._attempts.get(key)
        if last is not None:
            return last + self.policy.interval - now
        # Taken before the wait, so that attempts of one key at the same time don't all get through.
        self._attempts[key] = now
        if await self._windows.hit(self._reserve, _ALL):
            return 0.0
        self._attempts.pop(key, None)
        return self.policy.interval

    def _knows(self, key: str) -> bool:
        last = self._successes.get(key)
        return last is not None and self._clock() - last < self.policy.memory
