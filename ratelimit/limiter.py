"""Counts failures per key in a sliding window and locks a key that has too many. In this process; keys are opaque.

Everybody's failures together are the business of `budget`, delays instead of locks that of `delay`.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from ratelimit.policy import LockoutPolicy
from ratelimit.verdict import Verdict


class FailureLimiter:
    """Failure number `max_attempts` within the window is still allowed and starts the lock; later ones are not allowed
    and neither counted nor able to prolong it. When the lock ends the history is clean.

    Asking (`locked_for`, `has_failures`) is synchronous and costs a dictionary lookup, because every good request asks.
    Recording is one step without awaits inside, so however many failures arrive at once, `max_attempts` are allowed.

    At most `capacity` keys are kept. The key whose last failure is oldest makes room for a new one, locks never do:
    an attacker can't wash a lock away by failing under other keys. When all are locks, new keys are refused for one
    lockout period.
    """

    def __init__(
        self,
        policy: LockoutPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 10_000,
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._capacity = capacity
        # Both are kept in order of time, so what is over is always at the front and is dropped in passing.
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._locks: OrderedDict[str, float] = OrderedDict()
        self._overflow_until = 0.0

    def __len__(self) -> int:
        """Keys on record, expired ones that were not dropped yet included."""
        return len(self._failures) + len(self._locks)

    def locked_for(self, key: str) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        until = self._locks.get(key)
        if until is None:
            if not self._overflow_until:
                return 0.0
            until = self._overflow_until
        return max(0.0, until - self._clock())

    def has_failures(self, key: str) -> bool:
        """Whether failures of `key` are on record, so that a success should `reset` it."""
        return key in self._failures

    async def record_failure(self, key: str) -> Verdict:
        """Count one failure of `key`; says whether it may be told as one."""
        now = self._clock()
        self._drop_expired(now)
        locked_for = self.locked_for(key)
        if locked_for > 0:
            return Verdict(allowed=False, remaining=0, retry_after=locked_for)
        times = self._failures.pop(key, None)
        if times is None:
            if not self._make_room(now):
                return Verdict(allowed=False, remaining=0, retry_after=self.policy.lockout)
            times = deque()
        while times and times[0] <= now - self.policy.window:
            times.popleft()
        times.append(now)
        remaining = self.policy.max_attempts - len(times)
        if remaining > 0:
            self._failures[key] = times
            return Verdict(allowed=True, remaining=remaining, retry_after=0.0)
        self._locks[key] = now + self.policy.lockout
        return Verdict(allowed=True, remaining=0, retry_after=self.policy.lockout)

    async def reset(self, key: str) -> None:
        """Forget the failures of `key` after a success; a lock stays."""
        self._failures.pop(key, None)

    def _drop_expired(self, now: float) -> None:
        while self._locks and next(iter(self._locks.values())) <= now:
            self._locks.popitem(last=False)
        while self._failures and next(iter(self._failures.values()))[-1] <= now - self.policy.window:
            self._failures.popitem(last=False)
        if self._overflow_until <= now:
            self._overflow_until = 0.0

    def _make_room(self, now: float) -> bool:
        if len(self) < self._capacity:
            return True
        if self._failures:
            self._failures.popitem(last=False)
            return True
        self._overflow_until = now + self.policy.lockout
        return False
