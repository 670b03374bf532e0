"""For keys that must never be locked: answers their failures ever more slowly. Says how long; the caller waits."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from math import ceil, log2

from openclaw_ratelimit.checks import require_clock, require_count
from openclaw_ratelimit.errors import ConfigurationError
from openclaw_ratelimit.keys import stored_key
from openclaw_ratelimit.policy import DelayPolicy


class FailureDelay:
    """Doubles the delay with each failure of a key inside the window, up to the cap.

    Stores only as many failure times as it takes to reach the cap, and at most `capacity` keys. A new key replaces the
    one whose last failure is oldest.
    """

    def __init__(
        self,
        policy: DelayPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 1_000,
    ) -> None:
        require_count("capacity", capacity)
        require_clock(clock)
        if policy is not None and not isinstance(policy, DelayPolicy):
            raise ConfigurationError(f"policy must be a DelayPolicy, not {type(policy).__name__}")
        self.policy = policy or DelayPolicy()
        self._clock = clock
        self._capacity = capacity
        doublings = ceil(log2(self.policy.cap / self.policy.first)) if self.policy.cap > self.policy.first else 0
        self._max_times = doublings + 1
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def next(self, key: str | bytes) -> float:
        """Count one failure of `key`; seconds to wait before answering it."""
        key = stored_key(key)
        now = self._clock()
        times = self._failures.pop(key, None)
        if times is None:
            if len(self._failures) >= self._capacity:
                self._failures.popitem(last=False)
            times = deque(maxlen=self._max_times)
        while times and times[0] <= now - self.policy.window:
            times.popleft()
        times.append(now)
        self._failures[key] = times
        return min(self.policy.cap, self.policy.first * 2.0 ** (len(times) - 1))

    def has_failures(self, key: str | bytes) -> bool:
        """Whether failures of `key` are on record, so that a success should `reset` it."""
        return stored_key(key) in self._failures

    def reset(self, key: str | bytes) -> None:
        """Forget the failures of `key` after a success."""
        self._failures.pop(stored_key(key), None)
