import asyncio

import pytest

from gateway.access.client import ClientAddress
from gateway.access.lockout import Lockout
from gateway.access.outcome import Authenticated, Rejected
from gateway.core.errors import LockedOut, Unauthorized
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


async def told(lockout, outcome, client):
    """What the caller sees: a status, and Retry-After."""
    try:
        await lockout.admit(outcome, client)
    except Unauthorized:
        return 401
    except LockedOut as locked:
        return 429, locked.retry_after
    return 200


async def tell(lockout, outcomes, client=client()):  # noqa: B008  # a frozen value
    return [await told(lockout, outcome, client) for outcome in outcomes]


async def test_the_last_allowed_failure_is_401_and_then_even_the_right_secret_is_429(lockout, clock):
    assert await tell(lockout, [WRONG, WRONG, WRONG, RIGHT, MISSING, WRONG]) == [
        401,
        401,
        401,
        (429, 5),
        (429, 5),
        (429, 5),
    ]
    clock.now += 2.1
    assert await tell(lockout, [RIGHT]) == [(429, 3)]
    clock.now += 2.9
    assert await tell(lockout, [RIGHT, WRONG, WRONG, RIGHT]) == [200, 401, 401, 200]


async def test_wrong_secrets_are_counted_missing_ones_are_not(lockout):
    assert await tell(lockout, [MISSING] * 10 + [WRONG] * 3 + [MISSING]) == [401] * 13 + [(429, 5)]


async def test_a_success_forgets_the_failures(lockout):
    assert await tell(lockout, [WRONG, WRONG, RIGHT, WRONG, WRONG, RIGHT]) == [401, 401, 200, 401, 401, 200]


async def test_of_two_hundred_parallel_guesses_exactly_the_allowed_number_is_told(lockout):
    answers = await asyncio.gather(*(told(lockout, WRONG, client()) for _ in range(200)))
    assert answers.count(401) == 3
    assert answers.count((429, 5)) == 197


async def test_clients_are_counted_apart(lockout):
    await tell(lockout, [WRONG] * 3)
    assert await tell(lockout, [RIGHT], client("203.0.113.2")) == [200]
    assert await tell(lockout, [RIGHT]) == [(429, 5)]


async def test_refused_callers_are_never_counted_nor_locked(lockout):
    assert await tell(lockout, [REFUSED] * 10) == [401] * 10
    await tell(lockout, [WRONG] * 3)
    assert await tell(lockout, [REFUSED]) == [401]


async def test_callers_who_need_no_secret_pass_by_the_locks(lockout):
    await tell(lockout, [WRONG] * 3)
    assert lockout.admit_now(Authenticated(OWNER), client()) is OWNER


async def test_the_retry_hint_is_whole_seconds_and_at_least_one(lockout, clock):
    await tell(lockout, [WRONG] * 3)
    clock.now += 4.99
    assert await tell(lockout, [RIGHT]) == [(429, 1)]


async def test_loopback_is_locked_like_everybody_unless_exempt(lockout):
    assert await tell(lockout, [WRONG] * 3 + [RIGHT], LOOPBACK) == [401, 401, 401, (429, 5)]


async def test_exempt_loopback_is_told_ever_more_slowly_but_never_locked(exempting, clock):
    assert await tell(exempting, [WRONG] * 7, LOOPBACK) == [401] * 7
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert await tell(exempting, [RIGHT, WRONG], LOOPBACK) == [200, 401]
    assert clock.slept[-1] == 0.25


async def test_exempt_loopback_waits_for_wrong_secrets_only(exempting, clock):
    assert await tell(exempting, [MISSING, RIGHT], LOOPBACK) == [401, 200]
    assert clock.slept == []


async def test_only_direct_loopback_is_exempt(exempting):
    assert await tell(exempting, [WRONG] * 4) == [401, 401, 401, (429, 5)]


async def test_a_spent_budget_slows_strangers_and_leaves_known_clients_alone(budgeted):
    owner = client("198.51.100.1")
    assert await tell(budgeted, [RIGHT], owner) == [200]
    rotating = [await told(budgeted, WRONG, client(f"203.0.113.{n}")) for n in range(50)]
    assert rotating == [401] * 8 + [(429, 10)] * 42
    assert await tell(budgeted, [RIGHT, WRONG, RIGHT], owner) == [200, 401, 200]
    assert await tell(budgeted, [RIGHT], client("192.0.2.9")) == [(429, 10)]


async def test_a_stranger_with_the_right_secret_is_known_from_then_on(budgeted, clock):
    for number in range(5):
        await told(budgeted, WRONG, client(f"203.0.113.{number}"))
    newcomer = client("192.0.2.9")
    assert budgeted.admit_now(RIGHT, newcomer) is None
    assert await tell(budgeted, [RIGHT, RIGHT], newcomer) == [200, 200]
    assert budgeted.admit_now(RIGHT, newcomer) is OWNER


async def test_the_good_path_waits_for_nothing(budgeted, exempting):
    assert budgeted.admit_now(RIGHT, client()) is OWNER
    assert exempting.admit_now(RIGHT, LOOPBACK) is OWNER


@pytest.mark.parametrize("outcome", [WRONG, MISSING, REFUSED])
async def test_nobody_is_rejected_without_the_full_decision(lockout, outcome):
    assert lockout.admit_now(outcome, client()) is None


async def test_failures_on_record_send_the_right_secret_the_long_way(lockout):
    await tell(lockout, [WRONG])
    assert lockout.admit_now(RIGHT, client()) is None
    assert await lockout.admit(RIGHT, client()) is OWNER
    assert lockout.admit_now(RIGHT, client()) is OWNER
