import asyncio

import pytest

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns, Entry, Rest

OUTAGE = UpstreamError(UpstreamKind.SERVER_ERROR, "oh", upstream_status=500)
REFUSED = UpstreamError(UpstreamKind.AUTH, "bad key", upstream_status=401)


def limited(seconds):
    return UpstreamError(UpstreamKind.RATE_LIMITED, "slow", upstream_status=429, retry_after=seconds)


def fail(circuits, times=3, error=OUTAGE, name="a", *, entry=Entry.FREE, at_once=False):
    for _ in range(times):
        circuits.failed(name, error, entry, at_once=at_once)


def rest_of(circuits, time, name="a"):
    return circuits.ends(name) - time()


def test_nobody_in_trouble_is_free(circuits):
    assert circuits.quiet
    assert circuits.enter("a") is Entry.FREE


def test_failures_in_a_row_open_the_circuit(circuits):
    fail(circuits, 2)
    assert circuits.enter("a") is Entry.FREE
    fail(circuits, 1)
    assert circuits.enter("a") is Entry.RESTING
    assert circuits.enter("b") is Entry.FREE


def test_a_complete_answer_in_between_starts_the_count_again(circuits):
    fail(circuits, 2)
    circuits.succeeded("a")
    assert circuits.quiet
    fail(circuits, 2)
    assert circuits.enter("a") is Entry.FREE


def test_one_failure_is_enough_where_repeating_it_is_pointless(circuits):
    fail(circuits, 1, REFUSED, at_once=True)
    assert circuits.enter("a") is Entry.RESTING
    assert circuits.is_permanent("a")


def test_after_its_rest_one_run_makes_the_probe(circuits, time):
    fail(circuits)
    time.now += 2.0
    assert [circuits.enter("a") for _ in range(3)] == [Entry.PROBE, Entry.RESTING, Entry.RESTING]
    circuits.answered("a")
    assert circuits.enter("a") is Entry.FREE


def test_a_failed_probe_doubles_the_rest_up_to_its_limit(circuits, time):
    fail(circuits)
    rests = []
    for _ in range(5):
        rests.append(rest_of(circuits, time))
        time.now = circuits.ends("a")
        fail(circuits, 1, entry=circuits.enter("a"))
    assert rests == [2.0, 4.0, 8.0, 15.0, 15.0]


def test_after_a_recovery_rests_begin_short_again(circuits, time):
    fail(circuits)
    time.now += 2.0
    fail(circuits, 1, entry=circuits.enter("a"))
    time.now += 4.0
    assert circuits.enter("a") is Entry.PROBE
    circuits.answered("a")
    fail(circuits)
    assert rest_of(circuits, time) == 2.0


def test_a_providers_own_hint_is_the_longer_rest(circuits, time):
    fail(circuits, error=limited(90.0))
    assert rest_of(circuits, time) == 90.0


@pytest.mark.parametrize(("hint", "rest"), [(1.0, 2.0), (86_400.0, 600.0)])
def test_a_hint_neither_shortens_a_rest_nor_makes_it_endless(circuits, time, hint, rest):
    fail(circuits, error=limited(hint))
    assert rest_of(circuits, time) == rest


def test_late_failures_of_requests_sent_before_the_rest_prolong_nothing(circuits, time):
    fail(circuits)
    time.now += 1.0
    fail(circuits, 50)
    assert rest_of(circuits, time) == 1.0


def test_a_probe_that_was_given_up_can_be_made_by_another_run(circuits, time):
    fail(circuits)
    time.now += 2.0
    assert circuits.enter("a") is Entry.PROBE
    circuits.left("a")
    assert circuits.enter("a") is Entry.PROBE


async def test_waiting_ends_with_the_rest(circuits, time):
    fail(circuits)
    assert await circuits.wait("a", 60.0, time.sleep) is Entry.PROBE
    assert time.pauses == [2.0]


async def test_a_timer_that_is_early_by_its_grain_ends_the_rest_all_the_same(circuits, time):
    async def early(seconds):
        time.now += seconds - 0.001

    fail(circuits)
    assert await circuits.wait("a", 60.0, early) is Entry.PROBE


async def test_nobody_waits_for_a_rest_beyond_its_patience(circuits, time):
    fail(circuits, error=limited(90.0))
    assert await circuits.wait("a", 60.0, time.sleep) is Entry.RESTING
    assert time.pauses == []


@pytest.mark.parametrize(("recovered", "entry"), [(True, Entry.FREE), (False, Entry.RESTING)])
async def test_all_who_wait_learn_from_one_probe(circuits, time, recovered, entry):
    fail(circuits)
    time.now += 2.0
    probe = circuits.enter("a")
    waiting = [asyncio.create_task(circuits.wait("a", 60.0, time.sleep)) for _ in range(20)]
    await asyncio.sleep(0)
    if recovered:
        circuits.answered("a")
    else:
        fail(circuits, 1, entry=probe)
    assert await asyncio.gather(*waiting) == [entry] * 20


async def test_when_the_probe_is_given_up_one_of_those_who_wait_makes_it(circuits, time):
    fail(circuits)
    time.now += 2.0
    circuits.enter("a")
    waiting = [asyncio.create_task(circuits.wait("a", 60.0, time.sleep)) for _ in range(3)]
    await asyncio.sleep(0)
    circuits.left("a")
    assert sorted((await asyncio.gather(*waiting)), key=str).count(Entry.PROBE) == 1


async def test_a_probe_without_end_is_waited_for_within_patience_only(circuits, time):
    fail(circuits)
    time.now += 2.0
    circuits.enter("a")
    assert await circuits.wait("a", 0.01, time.sleep) is Entry.RESTING


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (OUTAGE, 503, "upstream_error"),
        (limited(5), 429, "upstream_rate_limited"),
        (REFUSED, 502, "upstream_auth_error"),
    ],
)
def test_a_refusal_says_that_nobody_was_asked_why_and_until_when(circuits, error, status, kind):
    fail(circuits, error=error, name="p/a#apiKey")
    refusal = circuits.refusal("p/a#apiKey")
    assert (refusal.status, refusal.type) == (status, kind)
    assert refusal.message.startswith("p/a was not asked")
    assert error.message in refusal.message
    assert refusal.retry_after == max(2.0, error.retry_after or 0)


def test_circuits_of_made_up_names_are_bounded(time):
    circuits = Cooldowns(CooldownPolicy(), clock=time)
    for number in range(1500):
        fail(circuits, 1, name=f"p/{number}#apiKey")
    assert len(circuits._known) == 1000
    fail(circuits, 2, name="p/1499#apiKey")
    assert circuits.enter("p/1499#apiKey") is Entry.RESTING


def test_the_beginning_and_the_end_of_a_rest_are_told(time):
    told = []
    circuits = Cooldowns(CooldownPolicy(), clock=time)
    circuits.share(told.append)
    fail(circuits)
    circuits.answered("a")
    assert told == [Rest("a", 2.0, UpstreamKind.SERVER_ERROR, "oh"), Rest("a", 0.0, UpstreamKind.SERVER_ERROR, "")]


def test_what_another_instance_tells_holds_here(circuits, time):
    circuits.learn(Rest("a", 5.0, UpstreamKind.TIMEOUT, "slow"))
    assert circuits.enter("a") is Entry.RESTING
    assert rest_of(circuits, time) == 5.0
    time.now += 5.0
    assert circuits.enter("a") is Entry.PROBE
    circuits.learn(Rest("a", 0.0, UpstreamKind.TIMEOUT, ""))
    assert circuits.enter("a") is Entry.FREE
    assert circuits.quiet
