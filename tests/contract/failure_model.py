"""A simple model of the failure limiter. Times are seconds."""

from collections import defaultdict

from ratelimit import BudgetPolicy, LockoutPolicy, Verdict

POLICY = LockoutPolicy(max_attempts=3, window=4.0, lockout=5.0)
BUDGET = BudgetPolicy(failures=4, window=6, interval=2.0, memory=20.0)


class Model:
    """One count: of a single process, or of all instances together."""

    def __init__(self, budget=None):
        self.failures = defaultdict(dict)  # key → name → time
        self.cleared_until = defaultdict(float)  # key → its history is cleared up to here; in the future: locked
        self.budget = budget
        self.spent, self.reserve, self.known, self.rations = [], [], {}, {}

    def fail(self, key, now, name):
        if self.cleared_until[key] > now:
            return Verdict(False, 0, self.cleared_until[key] - now)
        if wait := self.ration(key, now, failed=True):
            return Verdict(False, 0, wait)
        self.failures[key][name] = now
        left = POLICY.max_attempts - len(self.counted(key, now))
        if left == 0:
            self.cleared_until[key] = now + POLICY.lockout
        return Verdict(True, left, 0.0 if left else POLICY.lockout)

    def succeed(self, key, now):
        if self.cleared_until[key] > now:
            return Verdict(False, 0, self.cleared_until[key] - now)
        if wait := self.ration(key, now, failed=False):
            return Verdict(False, 0, wait)
        if self.counted(key, now):
            self.cleared_until[key] = now
        self.known[key] = now
        return Verdict(True, POLICY.max_attempts, 0.0)

    def counted(self, key, now):
        after = max(self.cleared_until[key], now - POLICY.window)
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
        if (last := self.rations.get(key, -1e9)) > now - BUDGET.interval:
            return last + BUDGET.interval - now
        self.reserve = [time for time in self.reserve if time > now - BUDGET.window]
        if len(self.reserve) >= BUDGET.failures:
            return BUDGET.interval
        self.rations[key] = now
        self.reserve.append(now)
        return 0.0

    def unite(self, other, now):
        """Merge what `other` counted while it was disconnected, and drop its failures there."""
        for key in {*other.failures, *other.cleared_until}:
            self.cleared_until[key] = max(self.cleared_until[key], other.cleared_until[key])
            self.failures[key] |= other.failures[key]
            counted = sorted(self.counted(key, now).values())
            if len(counted) >= POLICY.max_attempts:
                self.cleared_until[key] = counted[POLICY.max_attempts - 1] + POLICY.lockout
