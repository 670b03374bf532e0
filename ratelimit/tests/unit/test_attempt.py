"""One call for a login."""

from enum import Enum

import pytest

from openclaw_ratelimit import BudgetPolicy, EventKind, FailureLimiter, Locked, LockoutPolicy, Verdict

POLICY = LockoutPolicy(max_attempts=3, window=60.0, lockout=300.0)


@pytest.fixture
def events():
    return []


@pytest.fixture
def limiter(clock, events):
    return FailureLimiter(POLICY, clock=clock, on_event=events.append)


async def login(limiter, password, key="a"):
    try:
        async with limiter.attempt(key) as attempt:
            if password == "right":
                await attempt.succeeded()
                return "welcome"
            await attempt.failed()
            return "wrong"
    except Locked as locked:
        return locked.retry_after


async def test_a_login_from_end_to_end(limiter, clock):
    passwords = ["wrong", "right", "wrong", "wrong", "wrong", "right"]
    results = [await login(limiter, password) for password in passwords]
    assert results == ["wrong", "welcome", "wrong", "wrong", "wrong", 300.0]
    clock.advance(300.0)
    assert await login(limiter, "right") == "welcome"


async def test_a_locked_key_is_refused_before_its_password_is_looked_at(limiter):
    for _ in range(3):
        await login(limiter, "wrong")
    with pytest.raises(Locked):
        async with limiter.attempt("a"):
            raise AssertionError


async def test_a_body_that_raises_counts_nothing(limiter):
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            async with limiter.attempt("a"):
                raise ZeroDivisionError
    assert limiter.failures("a") == 0


async def test_an_attempt_that_was_none_is_discarded(limiter):
    async with limiter.attempt("a") as attempt:
        attempt.discard()
    assert limiter.failures("a") == 0


async def test_operators_see_and_end_locks(limiter, clock):
    for key in ("a", "b"):
        for _ in range(3):
            await login(limiter, "wrong", key)
        clock.advance(10.0)
    await login(limiter, "wrong", "c")
    assert limiter.locked() == [("a", 280.0), ("b", 290.0)]
    assert [limiter.failures(key) for key in "abc"] == [0, 0, 1]
    assert [await limiter.unlock(key) for key in ("a", "c", "d")] == [True, True, False]
    assert [lock.key for lock in limiter.locked()] == ["b"]
    assert await login(limiter, "right", "a") == "welcome"
    clock.advance(1.0)
    assert [await login(limiter, "wrong", "a") for _ in range(4)] == ["wrong"] * 3 + [300.0]


async def test_a_key_that_only_a_digest_can_hold_is_unlocked_by_either(limiter):
    for key in ("x" * 1000, "y" * 1000):
        for _ in range(3):
            await limiter.record_failure(key)
    one, other = limiter.locked()
    assert await limiter.unlock(one.key)
    assert await limiter.unlock("y" * 1000)
    assert limiter.locked() == []
    await limiter.record_failure(other.key)  # as a caller's key it is another one
    assert limiter.failures("y" * 1000) == 0


async def test_unlocking_makes_room_when_all_are_locks(clock):
    limiter = FailureLimiter(POLICY, clock=clock, capacity=2)
    for key in ("a", "b"):
        for _ in range(3):
            await limiter.record_failure(key)
    assert not (await limiter.record_failure("c")).allowed
    assert await limiter.unlock("a")
    assert (await limiter.record_failure("c")).allowed


async def test_events_say_what_was_decided(limiter, events):
    for _ in range(3):
        await login(limiter, "wrong")
    await login(limiter, "right")
    await limiter.unlock("a")
    kinds = [EventKind.FAILURE] * 3 + [EventKind.LOCKED, EventKind.REFUSED, EventKind.RELEASED]
    assert [event.kind for event in events] == kinds
    assert all((event.scope, event.key) == ("failures", "a") for event in events)


async def test_what_is_over_is_not_counted_any_more(limiter, clock):
    await limiter.record_failure("a")
    for _ in range(3):
        await limiter.record_failure("b")
    assert len(limiter) == 2
    clock.advance(60.0)
    assert (limiter.must_ask("a"), len(limiter)) == (False, 1)  # in this order, because `len` drops what is over
    clock.advance(240.0)
    assert (limiter.must_ask("b"), limiter.locked(), len(limiter)) == (False, [], 0)


async def test_check_says_how_many_failures_are_left(limiter):
    await limiter.record_failure("a")
    assert limiter.check("a") == Verdict(True, 2, 0.0)


async def test_a_new_key_gets_its_turn_while_others_try_once_each(clock):
    budget = BudgetPolicy(failures=10, window=60, interval=10.0)
    limiter = FailureLimiter(POLICY, budget=budget, clock=clock)
    began, attacker, waited = clock.now, 0, None
    while waited is None and clock.now - began < 600:
        for _ in range(20):  # a second of a distributed attack
            await limiter.record_failure(f"attacker {attacker}")
            attacker += 1
        if (
            clock.now - began >= 60
            and (clock.now - began) % 10 == 0
            and (await limiter.record_success("owner")).allowed
        ):
            waited = clock.now - began - 60
        clock.advance(1.0)
    assert waited is not None
    assert waited <= 2 * budget.interval


@pytest.mark.parametrize("others", [5, 35, 90])
async def test_a_new_key_gets_its_turn_within_a_bound_while_many_others_keep_asking(clock, others):
    budget = BudgetPolicy(failures=10, window=60, interval=10.0)
    limiter = FailureLimiter(LockoutPolicy(max_attempts=10**6), budget=budget, clock=clock)
    due = dict.fromkeys((f"attacker {number}" for number in range(others)), clock.now)
    began, owners = {}, (f"owner {number}" for number in range(5))
    turns = []
    while len(turns) < 5:
        if clock.now % 180 == 0 and (owner := next(owners, None)) is not None:
            due[owner] = began[owner] = clock.now
        for key in [key for key, time in due.items() if time <= clock.now]:
            record = limiter.record_success if key in began else limiter.record_failure
            verdict = await record(key)
            if verdict.allowed and key in began:
                turns.append(clock.now - began[key])
                del due[key]
            else:
                due[key] = clock.now + max(verdict.retry_after, budget.interval)
        clock.advance(1.0)
    assert max(turns) <= (others + 5) / budget.failures * 60 + 60 + 2 * (budget.interval + 1)


async def test_a_member_of_an_enumeration_is_the_key_that_its_text_is(limiter):
    class Account(str, Enum):  # noqa: UP042  as older programs have them
        OWNER = "owner"

    await limiter.record_failure(Account.OWNER)
    assert limiter.failures("owner") == limiter.failures(Account.OWNER) == 1
    await limiter.unlock(Account.OWNER)
    assert limiter.failures("owner") == 0
