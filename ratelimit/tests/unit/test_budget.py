import pytest

from openclaw_ratelimit import BudgetPolicy
from openclaw_ratelimit.budget import FailureBudget

POLICY = BudgetPolicy(failures=5, window=60, interval=10.0, memory=86_400.0)


@pytest.fixture
def budget(clock):
    return FailureBudget(POLICY, clock=clock)


def spend(budget):
    for number in range(POLICY.failures):
        assert budget.charge(f"attacker {number}", failed=True) == 0.0


def test_nobody_notices_a_budget_that_lasts(budget):
    for _ in range(POLICY.failures - 1):
        assert budget.charge("a", failed=True) == 0.0
        assert not budget.closed_to("b")


def test_a_stranger_gets_one_attempt_per_interval_while_the_budget_is_spent(budget, clock):
    spend(budget)
    assert budget.closed_to("b")
    assert budget.charge("b", failed=True) == 0.0
    clock.advance(4.0)
    assert budget.charge("b", failed=True) == 6.0
    clock.advance(6.0)
    assert budget.charge("b", failed=True) == 0.0


def test_right_and_wrong_attempts_of_strangers_are_treated_alike(budget):
    spend(budget)
    assert budget.charge("b", failed=False) == 0.0
    assert budget.charge("b", failed=False) == 10.0
    assert budget.charge("c", failed=True) == 0.0
    assert budget.charge("c", failed=False) == 10.0


def test_changing_keys_does_not_defeat_the_budget(budget):
    allowed = [budget.charge(f"address {number}", failed=True) == 0.0 for number in range(500)]
    assert sum(allowed) == 2 * POLICY.failures


def test_parallel_attempts_of_many_keys_do_not_defeat_the_budget(budget):
    waits = [budget.charge(f"address {n}", failed=True) for n in range(500)]
    assert waits.count(0.0) == 2 * POLICY.failures


def test_a_key_with_a_success_in_the_last_day_is_untouched(budget, clock):
    budget.remember("owner")
    clock.advance(86_000.0)
    spend(budget)
    assert not budget.closed_to("owner")
    assert budget.charge("owner", failed=False) == 0.0
    assert budget.charge("owner", failed=True) == 0.0
    assert budget.charge("owner", failed=True) == 0.0


def test_a_success_is_forgotten_after_a_day(budget, clock):
    budget.remember("owner")
    clock.advance(86_400.0)
    spend(budget)
    assert budget.closed_to("owner")


def test_a_later_success_is_remembered_for_longer(budget, clock):
    budget.remember("owner")
    clock.advance(80_000.0)
    budget.remember("owner")
    clock.advance(80_000.0)
    spend(budget)
    assert not budget.closed_to("owner")


def test_failures_of_known_keys_count_in_the_budget(budget):
    budget.remember("owner")
    for _ in range(POLICY.failures):
        assert budget.charge("owner", failed=True) == 0.0
    assert budget.closed_to("stranger")


def test_the_budget_comes_back_as_failures_leave_the_window(budget, clock):
    budget.charge("early", failed=True)
    clock.advance(30.0)
    for number in range(POLICY.failures):
        budget.charge(f"attacker {number}", failed=True)
    assert budget.closed_to("b")
    clock.advance(30.0)
    assert not budget.closed_to("b")
    assert budget.charge("b", failed=True) == 0.0
    assert budget.charge("b", failed=True) == 0.0
    assert budget.charge("b", failed=True) == 10.0


def test_the_oldest_success_makes_room(clock):
    budget = FailureBudget(POLICY, clock=clock, capacity=2)
    for key in ("a", "b", "c"):
        budget.remember(key)
    spend(budget)
    assert budget.closed_to("a")
    assert not budget.closed_to("b")
    assert not budget.closed_to("c")
