"""Counts everybody's failures together, so that changing keys does not defeat the limit per key.

Built on the moving window of `limits`; the per-key limit is the business of `limiter`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter

from ratelimit.memory import ProcessStorage
from ratelimit.policy import BudgetPolicy


class FailureBudget:
    """A group's failures within the window. While the budget lasts, nobody notices it. When it is spent, keys that had
    a success lately go on as ever (so nobody can lock an owner out), the others are strangers: each gets one attempt
    per interval, and all of them together as many per window again as the budget has. Right and wrong attempts of a
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
        self._spent_until: dict[str, float] = {}
        self._successes: OrderedDict[str, float] = OrderedDict()
        self._attempts: OrderedDict[str, float] = OrderedDict()

    def closed_to(self, group: str, key: str) -> bool:
        """Whether the group's budget is spent and `key` a stranger, so that even a success has to ask `charge`."""
        spent_until = self._spent_until.get(group)
        return spent_until is not None and spent_until > self._clock() and not self._knows(key)

    def remember(self, key: str) -> None:
        """`key` had a success."""
        now = self._clock()
        last = self._successes.get(key)
        if last is not None and now - last < self.policy.memory / 24:
            return  # Exact to an hour in a day is enough, and this runs on every good request.
        self._successes[key] = now
        self._successes.move_to_end(key)
        if len(self._successes) > self._capacity:
            self._successes.popitem(last=False)

    async def charge(self, group: str, key: str, *, failed: bool) -> float:
        """Count one attempt of `key`; 0.0 when its result may be told, else the seconds to wait before the next."""
        if not self.closed_to(group, key):
            if not failed or await self._windows.hit(self._failures, group):
                return 0.0
            reset_time, _ = await self._windows.get_window_stats(self._failures, group)
            self._spent_until[group] = reset_time
            if self._knows(key):
                return 0.0
        return await self._ration(group, key)

    async def _ration(self, group: str, key: str) -> float:
        now = self._clock()
        while self._attempts and next(iter(self._attempts.values())) <= now - self.policy.interval:
            self._attempts.popitem(last=False)
        last = self._attempts.get(key)
        if last is not None:
            return last + self.policy.interval - now
        # Taken before the wait, so that attempts of one key at the same time don't all get through.
        self._attempts[key] = now
        if await self._windows.hit(self._reserve, group):
            return 0.0
        self._attempts.pop(key, None)
        return self.policy.interval

    def _knows(self, key: str) -> bool:
        last = self._successes.get(key)
        return last is not None and self._clock() - last < self.policy.memory
