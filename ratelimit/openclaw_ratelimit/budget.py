"""Counts everybody's failures together, so that changing keys does not defeat the limit per key.

`records` counts the failures of each key. This is one process's view; what other instances report comes in by
`count`, `close` and `know`.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from openclaw_ratelimit.policy import BudgetPolicy
from openclaw_ratelimit.waiting_room import WaitingRoom


class FailureBudget:
    """All failures within the window. While the budget lasts, it changes nothing. When it is spent, keys that had a
    success lately go on as ever (so nobody can lock an owner out). All others together get as many attempts per window
    again as the budget has, at most one per key and interval, and the key that has waited longest comes first: so a new
    key gets its turn however many others try once. Right and wrong attempts are treated alike, or the difference would
    tell them apart.

    At most `capacity` successes are remembered, the oldest making room, and `capacity` keys wait.
    """

    def __init__(
        self,
        policy: BudgetPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 10_000,
    ) -> None:
        self.policy = policy or BudgetPolicy()
        self.clock = clock
        self._capacity = capacity
        self.refresh = self.policy.memory / 24
        """Seconds for which a success stays as it is: exact to an hour in a day is enough."""
        # The moving window of `limits`, without its two coroutines for each failure.
        self._failures: deque[float] = deque(maxlen=self.policy.failures)
        self._reserve: deque[float] = deque()
        self.spent_until = 0.0
        """By the clock; a time that is over says nothing."""
        self.successes: OrderedDict[str, float] = OrderedDict()
        """When a key had its last success, by the clock. Read only; `remember` adds to it."""
        self._granted: OrderedDict[str, float] = OrderedDict()
        self._waiting = WaitingRoom(2 * self.policy.interval, capacity)

    def closed_to(self, key: str) -> bool:
        """Whether the budget is spent and `key` has no recent success, so that even a success has to `charge`."""
        return self.spent_until > self.clock() and not self._knows(key)

    def remember(self, key: str) -> bool:
        """`key` had a success; whether that was news."""
        last = self.successes.get(key)
        if last is not None and self.clock() - last < self.refresh:
            return False
        self.know(key, 0.0)
        return True

    def know(self, key: str, age: float) -> None:
        """`key` had a success so many seconds ago."""
        self.successes[key] = max(self.clock() - age, self.successes.get(key, 0.0))
        self.successes.move_to_end(key)
        if len(self.successes) > self._capacity:
            self.successes.popitem(last=False)

    def known(self) -> Iterator[tuple[str, float]]:
        """Keys with a success that is still remembered, and the seconds since."""
        now = self.clock()
        for key, last in list(self.successes.items()):
            if now - last < self.policy.memory:
                yield key, now - last

    def charge(self, key: str, *, failed: bool) -> float:
        """Count one attempt of `key`; 0.0 when its result may be known, else the seconds to wait before the next."""
        if self.spent_until > self.clock():
            return 0.0 if self._knows(key) else self._ration(key)
        if failed:
            self.count()
        return 0.0

    def count(self) -> None:
        """One failure of anybody."""
        now = self.clock()
        if self.spent_until > now:
            return  # a known key's, which is not counted
        failures = self._failures
        failures.append(now)
        if len(failures) == self.policy.failures and failures[0] > now - self.policy.window:
            self.spent_until = failures[0] + self.policy.window

    def close(self, seconds: float) -> None:
        """The budget is spent for so long."""
        self.spent_until = max(self.spent_until, self.clock() + seconds)

    def _ration(self, key: str) -> float:
        now = self.clock()
        interval = self.policy.interval
        while self._granted and next(iter(self._granted.values())) <= now - interval:
            self._granted.popitem(last=False)
        last = self._granted.get(key)
        if last is not None:
            return last + interval - now
        while self._reserve and self._reserve[0] <= now - self.policy.window:
            self._reserve.popleft()
        if not self._waiting.ask(key, now, self.policy.failures - len(self._reserve)):
            return interval
        self._reserve.append(now)
        self._granted[key] = now
        return 0.0

    def _knows(self, key: str) -> bool:
        last = self.successes.get(key)
        return last is not None and self.clock() - last < self.policy.memory
