"""The limiter against a model short enough to be believed, over random histories."""

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ratelimit import FailureLimiter, LockoutPolicy

POLICY = LockoutPolicy(max_attempts=3, window=4.0, lockout=5.0)
KEYS = ("a", "b", "c")


class Model:
    def __init__(self):
        self.times = defaultdict(list)
        self.until = defaultdict(float)

    def fail(self, key, now):
        if now < self.until[key]:
            return False
        self.times[key] = [time for time in self.times[key] if time > now - POLICY.window] + [now]
        if len(self.times[key]) >= POLICY.max_attempts:
            self.until[key], self.times[key] = now + POLICY.lockout, []
        return True


class Histories(RuleBasedStateMachine):
    in_one_step = None

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self.limiter = FailureLimiter(POLICY, clock=lambda: self.now)
        self.model = Model()

    @rule(key=st.sampled_from(KEYS))
    def failure(self, key):
        verdict = type(self).in_one_step(self.limiter.record_failure(key))
        assert verdict.allowed == self.model.fail(key, self.now)
        locked = self.model.until[key] > self.now
        assert verdict.remaining == (0 if locked else POLICY.max_attempts - len(self.model.times[key]))
        assert verdict.retry_after == max(0.0, self.model.until[key] - self.now)

    @rule(key=st.sampled_from(KEYS))
    def success(self, key):
        if self.limiter.locked_for(key) == 0.0:
            type(self).in_one_step(self.limiter.reset(key))
            self.model.times[key] = []

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters):
        self.now += quarters / 4

    @invariant()
    def locks_agree(self):
        for key in KEYS:
            assert self.limiter.locked_for(key) == max(0.0, self.model.until[key] - self.now)

    @invariant()
    def counted_failures_are_on_record(self):
        for key in KEYS:
            if any(time > self.now - POLICY.window for time in self.model.times[key]):
                assert self.limiter.has_failures(key)


@pytest.fixture(autouse=True)
def runner(in_one_step):
    Histories.in_one_step = staticmethod(in_one_step)


class TestHistories(Histories.TestCase):
    settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
