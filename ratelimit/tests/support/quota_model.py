"""A simple model of quotas. Times are multiples of 16 seconds and windows powers of 2, so that floats are exact. Both
are long, as Redis expires keys in real time, and a busy machine needs seconds for a history.
"""

from collections import Counter
from math import floor

from openclaw_ratelimit import QuotaPolicy

CALLERS = [(("identity", who), ("model", model)) for who in ("alice", "bob") for model in ("small", "large")]
POLICIES = (
    QuotaPolicy("requests", "requests", 4, 256, ("identity",)),
    QuotaPolicy("tokens", "tokens", 20, 512, ("model",)),
    QuotaPolicy("runs", "runs", 2, per=("identity",)),
    QuotaPolicy("bob", "tokens", 9, 256, (), {"identity": ("bob",)}),
)


class Window:
    """What was counted, by the number of windows since the first count."""

    def __init__(self, width):
        self.width, self.start, self.counted = width, 0.0, Counter()

    def number(self, now):
        number = floor((now - self.start) / self.width)
        if self.counted[number] or self.counted[number - 1]:
            return number
        self.start, self.counted = now, Counter()
        return 0

    def used(self, now):
        number = self.number(now)
        fading = self.start + (number + 1) * self.width - now
        return floor(self.counted[number - 1] * fading / self.width + self.counted[number])

    def add(self, amount, now):
        number = self.number(now)
        self.counted[number] += amount
        return self.start + number * self.width  # when that window began

    def give_back(self, began, amount, now):
        self.number(now)
        number = (began - self.start) / self.width
        if number in self.counted:
            self.counted[number] = max(0, self.counted[number] - amount)


class Model:
    """Windows and runs by the policy's `per`: one count, of a single process or of all instances together."""

    def __init__(self):
        self.windows = {}
        self.running = Counter()

    def applying(self, caller):
        known = dict(caller)
        for policy in POLICIES:
            if policy.name != "bob" or known["identity"] == "bob":
                key = (policy.name, *(known[name] for name in policy.per))
                yield policy, key, self.windows.setdefault(key, Window(policy.window))

    @staticmethod
    def cost(policy, tokens):
        return min(max(1, tokens), policy.amount) if policy.counts == "tokens" else 1

    def remaining(self, caller, now):
        for policy, key, window in self.applying(caller):
            yield policy.amount - (self.running[key] if policy.counts == "runs" else window.used(now))

    def used(self, caller, now):
        for policy, _, window in self.applying(caller):
            if policy.counts != "runs":
                yield policy.name, window.used(now)

    def reserve(self, caller, tokens, now):
        applying = list(self.applying(caller))
        costs = [self.cost(policy, tokens) for policy, _, _ in applying]
        if not all(cost <= left for cost, left in zip(costs, self.remaining(caller, now), strict=True)):
            return None
        slots = []
        for (policy, key, window), cost in zip(applying, costs, strict=True):
            if policy.counts == "runs":
                self.running[key] += 1
            slots.append(None if policy.counts == "runs" else window.add(cost, now))
        return slots

    def reset(self, caller):
        for policy, key, _ in list(self.applying(caller)):
            self.windows[key] = Window(policy.window)

    def settle(self, caller, tokens, reserved, slots, now):
        for (policy, key, window), slot in zip(self.applying(caller), slots, strict=True):
            more = tokens - self.cost(policy, reserved)
            if policy.counts == "runs":
                self.running[key] -= 1
            elif policy.counts == "tokens" and more > 0:
                window.add(more, now)
            elif policy.counts == "tokens":
                window.give_back(slot, -more, now)
