import math

import pytest

from openclaw_ratelimit import BudgetPolicy, DelayPolicy, LockoutPolicy, PolicyError, RateLimitError


def test_defaults_are_those_of_openclaw():
    assert LockoutPolicy() == LockoutPolicy(max_attempts=10, window=60.0, lockout=300.0)
    assert DelayPolicy() == DelayPolicy(first=0.25, cap=5.0, window=60.0)


@pytest.mark.parametrize("field", ["window", "lockout"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_lockout_times_must_be_positive_and_finite(field, value):
    with pytest.raises(PolicyError, match=field):
        LockoutPolicy(**{field: value})


@pytest.mark.parametrize("policy", [DelayPolicy, BudgetPolicy])
def test_a_window_of_nothing_is_refused(policy):
    with pytest.raises(PolicyError, match="window"):
        policy(window=0)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (LockoutPolicy, "max_attempts"),
        (BudgetPolicy, "failures"),
        (BudgetPolicy, "interval"),
        (BudgetPolicy, "memory"),
        (DelayPolicy, "first"),
        (DelayPolicy, "cap"),
    ],
)
def test_every_number_is_checked_and_named(policy, field):
    with pytest.raises(PolicyError, match=field):
        policy(**{field: 0})


def test_policy_errors_are_value_errors_of_this_library():
    assert issubclass(PolicyError, RateLimitError)
    assert issubclass(PolicyError, ValueError)
