"""What the failure limiter promises, short enough to be believed. Times are seconds."""

from collections import defaultdict

from openclaw_ratelimit import BudgetPolicy, LockoutPolicy, Verdict

POLICY = LockoutPolicy(max_attempts=3, window=4.0, lockout=5.0)
BUDGET = BudgetPolicy(failures=4, window=6, interval=2.0, memory=20.0)
TICK = 0.001  # seconds: the storage's resolution


class Model:
    """One counting: a process alone, or all instances together."""

    def __init__(self, budget=None):
        self.failures = defaultdict(dict)  # key → name → time
        self.locks = defaultdict(float)  # key → end of its lock
        self.cleared = defaultdict(float)  # key → its history is void up to here
        self.released = defaultdict(float)  # key → locks that end by then don't count
        self.budget = budget
        self.spent, self.reserve, self.known, self.granted = [], [], {}, {}
        self.waiting, self.asked = {}, {}  # key → when it asked first, and last

    def locked_until(self, key):
        return self.locks[key] if self.locks[key] > self.released[key] else 0.0

    def fail(self, key, now, name):
        if (until := self.locked_until(key)) > now:
            return Verdict(False, 0, until - now)
        if wait := self.ration(key, now, failed=True):
            return Verdict(False, 0, wait)
        self.failures[key][name] = now
        left = POLICY.max_attempts - len(self.counted(key, now))
        if left == 0:
            self.lock(key, now)
        return Verdict(True, left, 0.0 if left else POLICY.lockout)

    def succeed(self, key, now):
        if (until := self.locked_until(key)) > now:
            return Verdict(False, 0, until - now)
        if wait := self.ration(key, now, failed=False):
            return Verdict(False, 0, wait)
        if self.counted(key, now):
            self.cleared[key] = now
        self.known[key] = now
        return Verdict(True, POLICY.max_attempts, 0.0)

    def unlock(self, key, now):
        stood = self.locked_until(key) > now or bool(self.counted(key, now))
        self.released[key] = max(self.locks[key], now + POLICY.lockout, self.released[key])
        self.cleared[key] = now
        return stood

    def lock(self, key, time):
        self.locks[key] = max(time + POLICY.lockout, self.released[key] + TICK)

    def counted(self, key, now):
        after = max(self.locked_until(key), self.cleared[key], now - POLICY.window)
        return {name: time for name, time in self.failures[key].items() if time > after}

    def ration(self, key, now, *, failed):
        if self.budget is None:
            return 0.0
        self.spent = [time for time in self.spent if time > now - BUDGET.window]
        if len(self.spent) < BUDGET.failures:
            self.spent += [now] * failed
            return 0.0
        if now - self.known.get(key, -1e9) < BUDGET.memory:
            return 0.0
        if (last := self.granted.get(key, -1e9)) > now - BUDGET.interval:
            return last + BUDGET.interval - now
        for gone in [key for key, last in self.asked.items() if last <= now - 2 * BUDGET.interval]:
            del self.waiting[gone], self.asked[gone]
        self.waiting.setdefault(key, now)
        self.reserve = [time for time in self.reserve if time > now - BUDGET.window]
        places = BUDGET.failures - len(self.reserve)
        if sum(first < self.waiting[key] for first in self.waiting.values()) >= places:
            self.asked[key] = now
            return BUDGET.interval
        del self.waiting[key]
        self.asked.pop(key, None)
        self.granted[key] = now
        self.reserve.append(now)
        return 0.0

    def unite(self, other, now):
        """Take over what `other` counted while it was alone."""
        for key in {*other.failures, *other.locks, *other.cleared, *other.released}:
            for mine, its in (
                (self.locks, other.locks), (self.cleared, other.cleared), (self.released, other.released),
            ):  # fmt: skip
                mine[key] = max(mine[key], its[key])
            self.failures[key] |= other.failures[key]
            counted = sorted(self.counted(key, now).values())
            if len(counted) >= POLICY.max_attempts:
                self.lock(key, counted[POLICY.max_attempts - 1])
