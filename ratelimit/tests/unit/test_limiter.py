import asyncio

import pytest

from openclaw_ratelimit import BudgetPolicy, ConfigurationError, FailureLimiter, LockoutPolicy, Verdict

POLICY = LockoutPolicy(max_attempts=3, window=4.0, lockout=5.0)


@pytest.fixture
def limiter(clock):
    return FailureLimiter(POLICY, clock=clock)


async def lock(limiter, key):
    for _ in range(limiter.policy.max_attempts):
        assert (await limiter.record_failure(key)).allowed


async def test_the_last_allowed_failure_is_answered_and_starts_the_lock(limiter):
    verdicts = [await limiter.record_failure("a") for _ in range(4)]
    assert verdicts == [Verdict(True, 2, 0.0), Verdict(True, 1, 0.0), Verdict(True, 0, 5.0), Verdict(False, 0, 5.0)]
    assert limiter.locked_for("a") == 5.0


async def test_attempts_during_the_lock_do_not_prolong_it(limiter, clock):
    await lock(limiter, "a")
    clock.advance(3.0)
    assert await limiter.record_failure("a") == Verdict(False, 0, 2.0)
    assert limiter.locked_for("a") == 2.0


async def test_the_end_of_the_lock_clears_the_history(clock):
    limiter = FailureLimiter(LockoutPolicy(max_attempts=3, window=60.0, lockout=5.0), clock=clock)
    await lock(limiter, "a")
    clock.advance(5.0)
    assert limiter.locked_for("a") == 0.0
    assert await limiter.record_failure("a") == Verdict(True, 2, 0.0)


async def test_failures_leave_the_window_one_by_one(limiter, clock):
    await limiter.record_failure("a")
    clock.advance(2.5)
    await limiter.record_failure("a")
    clock.advance(2.0)
    assert (await limiter.record_failure("a")).remaining == 1
    assert (await limiter.record_failure("a")).remaining == 0
    assert limiter.locked_for("a") == 5.0


async def test_a_failure_exactly_one_window_old_no_longer_counts(limiter, clock):
    await limiter.record_failure("a")
    clock.advance(4.0)
    assert (await limiter.record_failure("a")).remaining == 2


async def test_a_success_forgets_failures_but_not_a_lock(limiter):
    await limiter.record_failure("a")
    assert await limiter.record_success("a") == Verdict(True, 3, 0.0)
    assert not limiter.must_ask("a")
    assert (await limiter.record_failure("a")).remaining == 2
    await lock(limiter, "b")
    assert await limiter.record_success("b") == Verdict(False, 0, 5.0)
    assert limiter.locked_for("b") == 5.0


async def test_a_success_must_be_recorded_only_when_something_stands_against_it(limiter):
    assert not limiter.must_ask("a")
    await limiter.record_failure("a")
    assert limiter.must_ask("a")
    await lock(limiter, "b")
    assert limiter.must_ask("b")
    assert not limiter.must_ask("c")
    assert [limiter.succeed_now(key) for key in ("a", "b", "c")] == [False, False, True]


async def test_a_spent_budget_rations_unknown_keys_right_and_wrong_alike(clock):
    limiter = FailureLimiter(POLICY, budget=BudgetPolicy(failures=2), clock=clock)
    assert limiter.succeed_now("owner")
    for number in range(2):
        assert (await limiter.record_failure(f"attacker {number}")).allowed
    assert not limiter.must_ask("owner")
    assert limiter.succeed_now("owner")
    assert limiter.must_ask("unknown")
    assert not limiter.succeed_now("unknown")
    assert (await limiter.record_success("unknown")).allowed
    assert not limiter.must_ask("unknown")
    assert (await limiter.record_failure("another")).allowed
    assert await limiter.record_failure("another") == Verdict(False, 0, 10.0)
    assert await limiter.record_success("another") == Verdict(False, 0, 10.0)


async def test_keys_do_not_touch_each_other(limiter):
    await lock(limiter, "token/203.0.113.1")
    assert limiter.locked_for("password/203.0.113.1") == 0.0
    assert limiter.locked_for("token/203.0.113.2") == 0.0


async def test_of_two_hundred_parallel_guesses_exactly_the_allowed_number_is_answered(limiter):
    verdicts = await asyncio.gather(*(limiter.record_failure("a") for _ in range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 3


async def test_a_limit_of_one_locks_at_the_first_failure(clock):
    limiter = FailureLimiter(LockoutPolicy(max_attempts=1), clock=clock)
    assert await limiter.record_failure("a") == Verdict(True, 0, 300.0)
    assert limiter.locked_for("a") == 300.0


async def test_a_full_table_drops_the_key_whose_last_failure_is_oldest(clock):
    limiter = FailureLimiter(POLICY, clock=clock, capacity=2)
    await limiter.record_failure("old")
    await limiter.record_failure("new")
    await limiter.record_failure("old")
    await limiter.record_failure("newest")
    assert len(limiter) == 2
    assert not limiter.must_ask("new")
    assert (await limiter.record_failure("old")).remaining == 0


async def test_a_lock_is_never_dropped_for_new_keys(clock):
    limiter = FailureLimiter(POLICY, clock=clock, capacity=10)
    await lock(limiter, "a")
    for number in range(100):
        await limiter.record_failure(f"other {number}")
    assert limiter.locked_for("a") == 5.0
    assert len(limiter) == 10


async def test_a_table_full_of_locks_refuses_new_keys_for_one_lockout_period(clock):
    limiter = FailureLimiter(POLICY, clock=clock, capacity=2)
    await lock(limiter, "a")
    await lock(limiter, "b")
    clock.advance(1.0)
    assert limiter.locked_for("c") == 0.0
    assert await limiter.record_failure("c") == Verdict(False, 0, 5.0)
    clock.advance(4.5)
    assert limiter.locked_for("d") == 0.5
    assert await limiter.record_failure("d") == Verdict(False, 0, 0.5)
    clock.advance(0.5)
    assert limiter.locked_for("d") == 0.0
    assert (await limiter.record_failure("d")).allowed


async def test_expired_entries_are_dropped_in_passing(limiter, clock):
    for number in range(50):
        await limiter.record_failure(f"k{number}")
    await lock(limiter, "locked")
    clock.advance(5.0)
    await limiter.record_failure("a")
    assert len(limiter) == 1


async def test_an_adjusted_limiter_decides_by_the_new_numbers_and_forgets_nothing(limiter, clock):
    await lock(limiter, "locked")
    for _ in range(2):
        await limiter.record_failure("a")
    limiter.adjust(LockoutPolicy(max_attempts=5, window=4.0, lockout=50.0))
    assert (await limiter.record_failure("a")).remaining == 2
    assert limiter.locked_for("locked") == 5.0, "a lock is not shortened"
    limiter.adjust(LockoutPolicy(max_attempts=2, window=4.0, lockout=60.0))
    assert await limiter.record_failure("a") == Verdict(True, 0, 60.0), "the next failure locks at once"
    clock.advance(5.0)
    assert [lock.key for lock in limiter.locked()] == ["a"]
    assert await limiter.record_failure("b") == Verdict(True, 1, 0.0)


async def test_a_wider_window_counts_the_failures_that_are_still_on_record(limiter, clock):
    await limiter.record_failure("a")
    clock.advance(3.0)
    limiter.adjust(LockoutPolicy(max_attempts=3, window=60.0, lockout=5.0))
    clock.advance(30.0)
    assert (await limiter.record_failure("a")).remaining == 1


async def test_the_common_budget_can_be_changed_switched_off_and_on(clock):
    limiter = FailureLimiter(POLICY, budget=BudgetPolicy(failures=2), clock=clock)
    assert (await limiter.record_success("owner")).allowed
    for key in ("a", "b"):
        await limiter.record_failure(key)
    assert limiter.must_ask("new")
    assert not limiter.must_ask("owner")
    limiter.adjust(POLICY, budget=BudgetPolicy(failures=3))
    assert limiter.must_ask("new"), "a spent budget stays spent until its window ends"
    assert not limiter.must_ask("owner"), "its success is remembered"
    clock.advance(61.0)
    for key in ("c", "d"):
        await limiter.record_failure(key)
    assert not limiter.must_ask("new")
    await limiter.record_failure("e")
    assert limiter.must_ask("new")
    limiter.adjust(POLICY)
    assert not limiter.must_ask("new")
    limiter.adjust(POLICY, budget=BudgetPolicy(failures=1))
    await limiter.record_failure("f")
    assert limiter.must_ask("new")


async def test_a_wrong_adjustment_changes_nothing(limiter):
    with pytest.raises(ConfigurationError, match="while_away"):
        limiter.adjust(LockoutPolicy(max_attempts=1), while_away="perhaps")
    assert limiter.policy == POLICY
