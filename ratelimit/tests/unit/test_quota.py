import asyncio
import time

import pytest

from openclaw_ratelimit import PolicyError, Quota, QuotaPolicy, Refusal, Reservation

ALICE = (("identity", "alice"),)
BOB = (("identity", "bob"),)
PER = ("identity",)
REQUESTS = QuotaPolicy("requests", "requests", 3, 60, PER)
TOKENS = QuotaPolicy("tokens", "tokens", 1000, 60, PER)
RUNS = QuotaPolicy("runs", "runs", 2, per=PER)


@pytest.fixture
def quota(clock):
    return lambda *policies, **options: Quota(policies, clock=clock, **options)


async def test_exactly_the_amount_is_let_through_however_many_ask_at_once(quota):
    limited = quota(REQUESTS)
    outcomes = await asyncio.gather(*(limited.reserve(ALICE, 1) for _ in range(50)))
    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 3
    assert isinstance(await limited.reserve(BOB, 1), Reservation)


async def test_who_nothing_applies_to_is_always_let_through(quota):
    limited = quota(QuotaPolicy("requests", "requests", 1, only={"identity": ("bob",)}))
    for _ in range(5):
        reservation = await limited.reserve(ALICE, 10**9)
        assert isinstance(reservation, Reservation)
        assert reservation.statuses == ()
        await reservation.settle(5)


async def test_a_refusal_takes_nothing_of_the_policies_that_had_room(quota):
    limited = quota(REQUESTS, TOKENS, RUNS)
    first = await limited.reserve(ALICE, 900)
    assert isinstance(first, Reservation)
    for _ in range(10):
        refusal = await limited.reserve(ALICE, 200)
        assert isinstance(refusal, Refusal)
        assert [status.policy.name for status in refusal.violated] == ["tokens"]
    last = await limited.reserve(ALICE, 100)
    assert isinstance(last, Reservation)
    assert [status.remaining for status in last.statuses] == [1, 0, 0]


async def test_the_window_slides(quota, clock):
    limited = quota(REQUESTS)
    for _ in range(3):
        await limited.reserve(ALICE, 1)
    clock.advance(60.0)
    assert isinstance(await limited.reserve(ALICE, 1), Refusal)  # all three still count in full
    clock.advance(0.25)
    assert isinstance(await limited.reserve(ALICE, 1), Reservation)  # less than three of them
    clock.advance(19.75)
    assert isinstance(await limited.reserve(ALICE, 1), Refusal)  # two of them and the new one
    clock.advance(0.25)
    assert isinstance(await limited.reserve(ALICE, 1), Reservation)


@pytest.mark.parametrize("later", [0.0, 7.5, 59.0, 61.0, 90.0])
async def test_after_the_time_that_a_refusal_names_there_is_room_and_not_before(quota, clock, later):
    limited = quota(TOKENS)
    await limited.reserve(ALICE, 700)
    clock.advance(later)
    await limited.reserve(ALICE, 300)
    refusal = await limited.reserve(ALICE, 500)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after is not None
    began = clock.now
    clock.now = began + refusal.retry_after - 0.001
    assert isinstance(await limited.reserve(ALICE, 500), Refusal)
    clock.now = began + refusal.retry_after + 0.001
    assert isinstance(await limited.reserve(ALICE, 500), Reservation)


async def test_a_quota_is_whole_again_when_its_status_says(quota, clock):
    limited = quota(REQUESTS)
    await limited.reserve(ALICE, 1)
    clock.advance(10.0)
    reservation = await limited.reserve(ALICE, 1)
    (status,) = reservation.statuses
    assert (status.remaining, status.left, status.wait) == (1, 50.0, 0.0)
    assert status.reset == 50.0 + 30.0  # two of them count for less than one when half of the next window is over
    clock.advance(status.reset + 0.001)
    fresh = await limited.reserve(ALICE, 1)
    assert fresh.statuses[0].remaining == 2


async def test_tokens_that_were_not_needed_are_given_back(quota):
    limited = quota(TOKENS)
    reservation = await limited.reserve(ALICE, 1000)
    assert isinstance(await limited.reserve(ALICE, 600), Refusal)
    await reservation.settle(400)
    assert isinstance(await limited.reserve(ALICE, 600), Reservation)


async def test_tokens_are_given_back_to_the_window_that_they_were_taken_of(quota, clock):
    limited = quota(TOKENS)
    reservation = await limited.reserve(ALICE, 1000)
    clock.advance(90.0)  # half of it still counts
    (status,) = (await limited.reserve(ALICE, 1)).statuses
    assert status.remaining == 499
    await reservation.settle(0)
    (status,) = (await limited.reserve(ALICE, 1)).statuses
    assert status.remaining == 998


async def test_what_has_faded_away_is_not_given_back_to_what_came_later(quota, clock):
    limited = quota(TOKENS)
    reservation = await limited.reserve(ALICE, 1000)
    clock.advance(180.0)
    await limited.reserve(ALICE, 900)
    await reservation.settle(0)
    assert isinstance(await limited.reserve(ALICE, 200), Refusal)


async def test_tokens_beyond_the_estimate_count_when_they_are_known(quota, clock):
    limited = quota(TOKENS)
    reservation = await limited.reserve(ALICE, 100)
    clock.advance(600.0)  # a long answer
    await reservation.settle(1600)
    refusal = await limited.reserve(ALICE, 1)
    assert isinstance(refusal, Refusal)
    assert refusal.statuses[0].remaining == 0
    assert refusal.retry_after == pytest.approx(60.0 + 20.0)  # in the next window, when 1000 of the 1500 count


async def test_an_estimate_over_the_whole_quota_takes_all_of_it(quota):
    limited = quota(TOKENS)
    reservation = await limited.reserve(ALICE, 5000, at_least=1000)
    assert isinstance(reservation, Reservation)
    assert reservation.statuses[0].remaining == 0
    await reservation.settle(200)
    assert isinstance(await limited.reserve(ALICE, 800), Reservation)


async def test_what_is_certainly_more_than_the_whole_quota_never_fits(quota):
    refusal = await quota(REQUESTS, TOKENS).reserve(ALICE, 5000, at_least=1001)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after is None
    assert [status.policy.name for status in refusal.violated] == ["tokens"]


async def test_a_run_frees_its_place_once(quota):
    limited = quota(RUNS)
    first, second = await limited.reserve(ALICE, 1), await limited.reserve(ALICE, 1)
    refusal = await limited.reserve(ALICE, 1)
    assert isinstance(refusal, Refusal)
    assert 0 < refusal.retry_after < 1
    for _ in range(3):
        await first.settle(0)
    third = await limited.reserve(ALICE, 1)
    assert isinstance(third, Reservation)
    assert isinstance(await limited.reserve(ALICE, 1), Refusal)
    await second.settle(0)
    assert isinstance(await limited.reserve(ALICE, 1), Reservation)


async def test_nothing_is_left_of_runs_that_are_over(quota):
    limited = quota(RUNS)
    for number in range(100):
        await (await limited.reserve((("identity", f"caller {number}"),), 1)).settle(0)
    assert limited._local._running == {}


async def test_a_deciding_quota_waits_for_nothing(quota, in_one_step):
    limited = quota(REQUESTS, TOKENS, RUNS)
    reservation = in_one_step(limited.reserve(ALICE, 10))
    in_one_step(reservation.settle(5))


async def test_long_names_are_served_and_not_remembered(quota):
    limited = quota(REQUESTS)
    caller = (("identity", "x" * 10_000),)
    for _ in range(3):
        assert isinstance(await limited.reserve(caller, 1), Reservation)
    assert isinstance(await limited.reserve(caller, 1), Refusal)
    assert limited._cached.cache_info().currsize == 0


async def test_nobody_gets_a_fresh_quota_by_filling_the_table_under_other_names(quota, clock):
    limited = quota(REQUESTS, capacity=100)
    for _ in range(3):
        await limited.reserve(ALICE)
    others = [await limited.reserve((("identity", str(number)),)) for number in range(150)]
    assert isinstance(await limited.reserve(ALICE), Refusal)
    assert sum(isinstance(outcome, Reservation) for outcome in others) == 99 + 3  # the rest share one quota
    clock.advance(120.0)
    assert isinstance(await limited.reserve((("identity", "new"),)), Reservation)
    assert isinstance(await limited.reserve(ALICE), Reservation)


async def test_a_run_whose_reservation_is_dropped_is_over(quota):
    limited = quota(RUNS)
    for _ in range(10):
        assert isinstance(await limited.reserve(ALICE), Reservation)


async def test_a_refusal_costs_no_more_when_many_runs_are_active(quota):
    limited = quota(QuotaPolicy("runs", "runs", 5_000))
    held = [await limited.reserve(ALICE) for _ in range(5_000)]
    began = time.process_time()
    assert all([isinstance(await limited.reserve(ALICE), Refusal) for _ in range(2_000)])
    assert time.process_time() - began < 0.5  # 0.02 on an idle machine; a look at all for each took 1.5
    for outcome in held:
        await outcome.settle()
    assert not limited._held
    assert not limited._dropped


async def test_a_run_that_is_held_for_too_long_is_over(quota, clock):
    limited = quota(RUNS, max_run=100.0)
    held = [await limited.reserve(ALICE) for _ in range(3)]
    assert [type(outcome) for outcome in held] == [Reservation, Reservation, Refusal]
    clock.advance(100.0)
    assert isinstance(await limited.reserve(ALICE), Reservation)
    await held[0].settle()
    assert limited._held.keys() <= {"3", "4"}


async def test_a_reservation_settles_in_every_ending(quota):
    limited = quota(REQUESTS, TOKENS, RUNS)
    async with limited.reserve(ALICE, 600) as reserved:
        reserved.used(100)
    with pytest.raises(ZeroDivisionError):
        async with limited.reserve(ALICE, 300):
            raise ZeroDivisionError
    async with limited.reserve(ALICE, 1) as reserved:
        await reserved.settle(200)
    assert [status.remaining for status in (await limited.reserve(ALICE)).statuses] == [0, 1000 - 600, 2]


async def test_a_reservation_that_is_cancelled_is_undone_unless_something_was_used(quota):
    limited = quota(REQUESTS, TOKENS)

    async def work(used):
        async with limited.reserve(ALICE, 500) as reserved:
            if used:
                reserved.used(used)
            await asyncio.sleep(3600)

    for used in (None, 70):
        task = asyncio.ensure_future(work(used))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [status.remaining for status in (await limited.reserve(ALICE, 1)).statuses] == [1, 1000 - 70 - 1]


async def test_an_operator_resets_what_was_used(quota):
    limited = quota(REQUESTS, TOKENS, RUNS)
    held = [await limited.reserve(ALICE, 400) for _ in range(2)]
    await limited.reset({"identity": "alice"})
    outcome = await limited.reserve(ALICE, 1)
    assert [status.policy.name for status in outcome.violated] == ["runs"]
    await held[0].settle()
    assert [status.remaining for status in (await limited.reserve(ALICE, 1)).statuses] == [2, 999, 0]
    await held[1].settle(0)


async def test_a_report_of_absurdly_many_tokens_spends_the_quota_and_no_more(quota, clock):
    limited = quota(TOKENS)
    await (await limited.reserve(ALICE, 1)).settle(10**400)
    assert isinstance(await limited.reserve(ALICE, 10**400), Refusal)
    clock.advance(119.0)
    assert isinstance(await limited.reserve(ALICE), Refusal)
    clock.advance(1.0)
    assert isinstance(await limited.reserve(ALICE), Reservation)


async def test_a_caller_has_further_policies_of_its_own(quota):
    limited = quota(REQUESTS)
    own = (QuotaPolicy("own", "requests", 1, 60, PER),)
    assert isinstance(await limited.reserve(ALICE, own=own), Reservation)
    assert isinstance(await limited.reserve(ALICE, own=own), Refusal)
    assert isinstance(await limited.reserve(BOB, own=own), Reservation)
    assert isinstance(await limited.reserve(ALICE), Reservation), "they hold only where they are given"
    assert limited.policies == (REQUESTS,)
    await limited.reset(ALICE, own)
    assert isinstance(await limited.reserve(ALICE, own=own), Reservation)


async def test_what_a_caller_of_its_own_policy_used_outlives_a_change_of_its_amount(quota):
    limited = quota()
    small, large = (QuotaPolicy("own", "tokens", amount, 60, PER) for amount in (10, 15))
    await limited.reserve(ALICE, 10, own=(small,))
    reservation = await limited.reserve(ALICE, 5, own=(large,))
    assert reservation.statuses[0].remaining == 0


async def test_a_strict_policy_reserves_the_worst_case_and_is_settled_to_what_was_used(quota):
    limited = quota(QuotaPolicy("budget", "tokens", 1000, 60, PER, strict=True))
    held = await limited.reserve(ALICE, 10, worst=600)
    assert isinstance(await limited.reserve(ALICE, 10, worst=401), Refusal)
    await held.settle(599)
    assert isinstance(await limited.reserve(ALICE, 10, worst=401), Reservation)
    never = await limited.reserve(BOB, 10, worst=1001)
    assert never.retry_after is None, "an estimate would take all of it"


async def test_a_process_goes_on_with_the_windows_of_an_earlier_one(quota, clock):
    policies = (QuotaPolicy("budget", "tokens", 100, 60, PER), QuotaPolicy("other", "tokens", 100, 60, PER))
    first = quota(*policies)
    first.take_changes(lambda name: name == "budget")
    clock.advance(5.0)
    await first.reserve(ALICE, 60)
    clock.advance(60.0)
    await first.reserve(ALICE, 40)
    (window,) = first.take_changes(lambda name: name == "budget")
    assert (window.width, window.age, window.previous, window.current) == (60, 0.0, 60, 40)
    assert first.take_changes(str.isascii) == []
    clock.advance(30.0)
    second = quota(*policies)
    second.restore([window], 30.0)
    remaining = [(await one.reserve(ALICE, 1)).statuses[0].remaining for one in (first, second)]
    assert remaining == [29, 29], "half of 60 still counts"
    clock.advance(1000.0)
    third = quota(*policies)
    third.restore([window], 1030.0)
    assert (await third.reserve(ALICE, 1)).statuses[0].remaining == 99, "it has faded away"


async def test_money_is_reserved_and_settled_beside_tokens(quota):
    limited = quota(TOKENS, QuotaPolicy("money", "cost", 1000, 60, PER))
    held = await limited.reserve(ALICE, 10, cost=600)
    refusal = await limited.reserve(ALICE, 10, cost=401)
    assert [status.policy.name for status in refusal.violated] == ["money"]
    await held.settle(30, 599)
    last = await limited.reserve(ALICE, 10, cost=401)
    assert [status.remaining for status in last.statuses] == [1000 - 30 - 10, 0]
    await last.settle(10)
    again = await limited.reserve(ALICE, 10, cost=1)
    assert isinstance(again, Refusal), "without a cost the reserved one counts"


async def test_other_policies_over_the_same_quota_go_on_counting(quota):
    requests = QuotaPolicy("all", "requests", 2)
    limited = quota(requests)
    assert isinstance(await limited.reserve(ALICE), Reservation)
    larger = limited.with_policies([QuotaPolicy("all", "requests", 3), QuotaPolicy("runs", "runs", 1)])
    held = await larger.reserve(ALICE)
    assert isinstance(held, Reservation)
    assert isinstance(await larger.reserve(ALICE), Refusal)  # one run at a time
    await held.settle()
    assert isinstance(await larger.reserve(ALICE), Reservation)
    assert isinstance(await limited.reserve(ALICE), Refusal)
    with pytest.raises(PolicyError):
        limited.with_policies([requests, requests])


async def test_the_usage_of_a_caller_says_what_is_used_and_what_running_work_has_reserved(quota, clock):
    budget = QuotaPolicy("budget", "tokens", 1000, 60, PER, strict=True)
    limited = quota(budget, RUNS)
    assert [(one.used, one.reserved, one.left) for one in await limited.usage(ALICE)] == [(0, 0, 60.0)]
    held = await limited.reserve(ALICE, 10, worst=600)
    clock.advance(20.0)
    other = await limited.reserve(ALICE, 10, worst=100)
    assert [(one.used, one.reserved, one.left) for one in await limited.usage(ALICE)] == [(700, 700, 40.0)]
    await held.settle(50)
    assert [(one.used, one.reserved) for one in await limited.usage(ALICE)] == [(150, 100)]
    await other.undo()
    (usage,) = await limited.usage(ALICE)
    assert (usage.policy, usage.used, usage.reserved) == (budget, 50, 0)
    assert await limited.usage(BOB, (QuotaPolicy("own", "tokens", 1),)) != ()
    assert [one.used for one in await limited.usage(BOB)] == [0]
