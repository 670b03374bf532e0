"""The replica's data when other instances' reports come late, out of order, or twice."""

import time

import pytest

from openclaw_ratelimit import LockoutPolicy, Verdict
from openclaw_ratelimit.records import Failure, Records

POLICY = LockoutPolicy(max_attempts=3, window=60.0, lockout=300.0)


@pytest.fixture
def records(clock):
    return Records(POLICY, clock=clock, capacity=100, shared=True)


def test_a_lock_that_ends_early_is_dropped_also_behind_one_that_ends_late(records, clock):
    records.lock("own", clock.now + 300)
    records.lock("learnt", clock.now + 10)  # a merge brings an earlier one
    clock.advance(20)
    assert records.fail("learnt", "1") == Verdict(True, 2, 0.0)
    assert len(records) == 2


def test_an_extended_lock_lasts(records, clock):
    records.lock("a", clock.now + 10)
    records.lock("a", clock.now + 20)
    clock.advance(15)
    assert records.fail("a", "1") == Verdict(False, 0, 5.0)


def test_a_failure_that_is_reported_late_counts_in_its_own_time(records, clock):
    records.fail("a", "now")
    records.add("a", Failure(clock.now - 50, "late"))
    assert records.failures("a") == 2
    clock.advance(11)
    assert records.failures("a") == 1
    assert records.fail("a", "next") == Verdict(True, 1, 0.0)


def test_what_is_reported_twice_counts_once(records, clock):
    assert records.add("a", Failure(clock.now, "x"))
    assert not records.add("a", Failure(clock.now, "x"))
    assert records.failures("a") == 1


def test_a_report_that_is_over_changes_nothing(records, clock):
    assert not records.add("a", Failure(clock.now - 60, "x"))
    assert len(records) == 0


def test_a_released_lock_does_not_come_back_and_a_new_one_holds(records, clock):
    records.lock("a", clock.now + 300)
    assert records.release("a")
    records.lock("a", clock.now + 300)  # of an instance that has not heard
    assert records.locked_for("a") == 0.0
    for name in "123":
        records.fail("a", name)
    assert records.locked_for("a") == pytest.approx(300, abs=0.01)


def test_locks_that_come_and_go_take_no_memory(records, clock):
    for number in range(10_000):
        records.lock(f"k{number % 50}", clock.now + 300)
        records.release(f"k{number % 50}")
        clock.advance(0.001)
    assert len(records._ends) <= 2 * 50 + 70
    assert len(records._released) <= 50


def test_when_the_clock_is_set_locks_last_as_long_as_before(records, clock):
    records.lock("a", clock.now + 300)
    records.fail("b", "1")
    for jump in (86_400.0, -86_400.0):
        clock.advance(jump)
        records.shift(jump)
        assert records.locked_for("a") == 300.0
        assert records.failures("b") == 1
    clock.advance(300.0)
    assert len(records) == 0


def test_released_locks_are_bounded_and_the_first_one_makes_room(clock):
    records = Records(POLICY, clock=clock, capacity=100, shared=True)
    for number in range(150):
        records.apply_release(f"k{number}", clock.now + 300, clock.now)
    assert len(records._released) == 100
    records.lock("k0", clock.now + 200)
    records.lock("k149", clock.now + 200)
    assert [lock.key for lock in records.locked()] == ["k0"]
    clock.advance(300)
    records.apply_release("new", clock.now + 300, clock.now)
    assert list(records._released) == ["new"]


def test_many_releases_at_once_hold_the_event_loop_up_for_a_moment_only(clock):
    """As an operator's script releases them, and as an instance that joins learns them."""
    records = Records(POLICY, clock=clock, capacity=10_000, shared=True)
    began = time.process_time()
    for number in range(15_000):
        records.apply_release(f"k{number}", clock.now + 300, clock.now)
    assert time.process_time() - began < 1.0  # 0.02 on an idle machine; a look at all for each took 10


@pytest.mark.parametrize("succeeds", [False, True])
def test_a_full_table_costs_no_more_while_redis_is_away(clock, succeeds):
    records = Records(POLICY, clock=clock, capacity=10_000, shared=True)
    began = time.process_time()
    for number in range(40_000):
        records.fail(f"k{number}", str(number))
        if succeeds:
            records.succeed(f"k{number}")
        clock.advance(0.0001)
    assert time.process_time() - began < 4.0  # 0.2 on an idle machine; a look at all for each took 30
    assert len(records._unsynced) <= 20_000
    assert {"k39999", "k35000"} <= records.pop_unsynced().keys()


def test_a_release_that_is_heard_late_ends_what_stood_then_and_nothing_later(records, clock):
    for name in "123":
        records.fail("locked before", name)
    records.fail("failed before and after", "4")
    clock.advance(1.0)  # here the operator releases
    clock.advance(0.5)
    for name in "567":
        records.fail("locked after", name)
    records.fail("failed before and after", "8")
    clock.advance(0.5)
    for key in ("locked before", "locked after", "failed before and after"):
        records.release_as_of(key, 1.0)
    assert [records.locked_for(key) for key in ("locked before", "locked after")] == [0.0, 299.5]
    assert records.failures("failed before and after") == 1
    assert records.has_unsynced


@pytest.mark.parametrize("age", [-1.0, 300.0, float("nan"), float("inf")])
def test_a_release_from_before_any_lock_changes_nothing(records, age):
    for name in "123":
        records.fail("a", name)
    records.pop_unsynced()
    records.release_as_of("a", age)
    assert records.locked_for("a") == 300.0
    assert not records.has_unsynced
