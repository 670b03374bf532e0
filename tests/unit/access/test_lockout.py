import asyncio

import pytest

from gateway.access.client import ClientAddress
from gateway.access.lockout import Lockout
from gateway.access.outcome import Authenticated, Rejected
from gateway.core.errors import LockedOut, Unauthorized, Unavailable
from gateway.core.identity import OWNER
from openclaw_ratelimit import BudgetPolicy, FailureDelay, FailureLimiter, LockoutPolicy

POLICY = LockoutPolicy(max_attempts=3, window=4.0, lockout=5.0)
RIGHT = Authenticated(OWNER, "token")
WRONG = Rejected("wrong", "token")
MISSING = Rejected("missing", "token")
REFUSED = Rejected("refused")


def client(host="203.0.113.1", *, loopback=False):
    return ClientAddress(host, loopback, not loopback, host)


LOOPBACK = client("127.0.0.1", loopback=True)


class Clock:
    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return FailureLimiter(POLICY, clock=clock)


@pytest.fixture
def lockout(limiter, clock):
    return Lockout(limiter, sleep=clock.sleep)


@pytest.fixture
def exempting(limiter, clock):
    return Lockout(limiter, sleep=clock.sleep, delay=FailureDelay(clock=clock))


@pytest.fixture
def budgeted(clock):
    return Lockout(FailureLimiter(POLICY, budget=BudgetPolicy(failures=4), clock=clock), sleep=clock.sleep)


async def status_of(lockout, outcome, client):
    """The status of the response, and its Retry-After."""
    try:
        await lockout.admit(outcome, client)
    except Unauthorized:
        return 401
    except LockedOut as locked:
        return 429, locked.retry_after
    return 200


async def statuses_of(lockout, outcomes, client=client()):  # noqa: B008  # a frozen value
    return [await status_of(lockout, outcome, client) for outcome in outcomes]


async def test_a_key_that_can_not_be_checked_is_neither_counted_nor_refused(lockout, exempting):
    unknown = Rejected("unverifiable", "token")
    for one, address in ((lockout, client()), (exempting, LOOPBACK)):
        for _ in range(5):
            with pytest.raises(Unavailable):
                await one.admit(unknown, address)
        assert await status_of(one, RIGHT, address) == 200
    await statuses_of(lockout, [WRONG] * 3)
    assert (await status_of(lockout, unknown, client()))[0] == 429, "a lock comes first"


async def test_the_last_allowed_failure_is_401_and_then_even_the_right_secret_is_429(lockout, clock):
    assert await statuses_of(lockout, [WRONG, WRONG, WRONG, RIGHT, MISSING, WRONG]) == [
        401,
        401,
        401,
        (429, 5),
        (429, 5),
        (429, 5),
    ]
    clock.now += 2.1
    assert await statuses_of(lockout, [RIGHT]) == [(429, 3)]
    clock.now += 2.9
    assert await statuses_of(lockout, [RIGHT, WRONG, WRONG, RIGHT]) == [200, 401, 401, 200]


async def test_wrong_secrets_are_counted_missing_ones_are_not(lockout):
    assert await statuses_of(lockout, [MISSING] * 10 + [WRONG] * 3 + [MISSING]) == [401] * 13 + [(429, 5)]


async def test_a_success_forgets_the_failures(lockout):
    assert await statuses_of(lockout, [WRONG, WRONG, RIGHT, WRONG, WRONG, RIGHT]) == [401, 401, 200, 401, 401, 200]


async def test_of_two_hundred_parallel_guesses_exactly_the_allowed_number_gets_a_401(lockout):
    answers = await asyncio.gather(*(status_of(lockout, WRONG, client()) for _ in range(200)))
    assert answers.count(401) == 3
    assert answers.count((429, 5)) == 197


async def test_clients_are_counted_apart(lockout):
    await statuses_of(lockout, [WRONG] * 3)
    assert await statuses_of(lockout, [RIGHT], client("203.0.113.2")) == [200]
    assert await statuses_of(lockout, [RIGHT]) == [(429, 5)]


async def test_refused_callers_are_never_counted_nor_locked(lockout):
    assert await statuses_of(lockout, [REFUSED] * 10) == [401] * 10
    await statuses_of(lockout, [WRONG] * 3)
    assert await statuses_of(lockout, [REFUSED]) == [401]


async def test_callers_who_need_no_secret_pass_by_the_locks(lockout):
    await statuses_of(lockout, [WRONG] * 3)
    assert lockout.admit_now(Authenticated(OWNER), client()) is OWNER


async def test_the_retry_hint_is_whole_seconds_and_at_least_one(lockout, clock):
    await statuses_of(lockout, [WRONG] * 3)
    clock.now += 4.99
    assert await statuses_of(lockout, [RIGHT]) == [(429, 1)]


async def test_loopback_is_locked_like_everybody_unless_exempt(lockout):
    assert await statuses_of(lockout, [WRONG] * 3 + [RIGHT], LOOPBACK) == [401, 401, 401, (429, 5)]


async def test_exempt_loopback_is_delayed_ever_longer_but_never_locked(exempting, clock):
    assert await statuses_of(exempting, [WRONG] * 7, LOOPBACK) == [401] * 7
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert await statuses_of(exempting, [RIGHT, WRONG], LOOPBACK) == [200, 401]
    assert clock.slept[-1] == 0.25


async def test_exempt_loopback_waits_for_wrong_secrets_only(exempting, clock):
    assert await statuses_of(exempting, [MISSING, RIGHT], LOOPBACK) == [401, 200]
    assert clock.slept == []


async def test_only_direct_loopback_is_exempt(exempting):
    assert await statuses_of(exempting, [WRONG] * 4) == [401, 401, 401, (429, 5)]


async def test_a_spent_budget_slows_unknown_clients_and_no_known_ones(budgeted):
    owner = client("198.51.100.1")
    assert await statuses_of(budgeted, [RIGHT], owner) == [200]
    rotating = [await status_of(budgeted, WRONG, client(f"203.0.113.{n}")) for n in range(50)]
    assert rotating == [401] * 8 + [(429, 10)] * 42
    assert await statuses_of(budgeted, [RIGHT, WRONG, RIGHT], owner) == [200, 401, 200]
    assert await statuses_of(budgeted, [RIGHT], client("192.0.2.9")) == [(429, 10)]


async def test_an_unknown_client_with_the_right_secret_is_known_afterwards(budgeted, clock):
    for number in range(5):
        await status_of(budgeted, WRONG, client(f"203.0.113.{number}"))
    new_client = client("192.0.2.9")
    assert budgeted.admit_now(RIGHT, new_client) is None
    assert await statuses_of(budgeted, [RIGHT, RIGHT], new_client) == [200, 200]
    assert budgeted.admit_now(RIGHT, new_client) is OWNER


async def test_a_right_secret_without_failures_does_not_wait(budgeted, exempting):
    assert budgeted.admit_now(RIGHT, client()) is OWNER
    assert exempting.admit_now(RIGHT, LOOPBACK) is OWNER


@pytest.mark.parametrize("outcome", [WRONG, MISSING, REFUSED])
async def test_nobody_is_rejected_without_the_full_decision(lockout, outcome):
    assert lockout.admit_now(outcome, client()) is None


async def test_failures_on_record_make_a_right_secret_wait_for_the_limiter(lockout):
    await statuses_of(lockout, [WRONG])
    assert lockout.admit_now(RIGHT, client()) is None
    assert await lockout.admit(RIGHT, client()) is OWNER
    assert lockout.admit_now(RIGHT, client()) is OWNER
