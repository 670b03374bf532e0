import pytest

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidate_cooldown import Entry
from gateway.runs.cooldowns import MAX_ENTRIES, CooldownPolicy, Cooldowns, Failure, SharedCooldown
from gateway.runs.trace import RunTrace

OUTAGE = UpstreamError(UpstreamKind.SERVER_ERROR, "oh")


@pytest.fixture
def run(time):
    return lambda client="": RunTrace("main", time, client)


@pytest.fixture
def fail(cooldowns, run):
    """Let some runs give a candidate up."""

    def runs(count=3, *, unit="a", error=OUTAGE, threshold=3, shared=True, client="", entry=Entry.FREE):
        for _ in range(count):
            cooldowns.failed(unit, Failure(error, threshold, shared=shared), entry, run(client))

    return runs


@pytest.fixture
def hint(cooldowns, run):
    def hinted(seconds, unit="a", kind=UpstreamKind.RATE_LIMITED):
        error = UpstreamError(kind, "slow down", retry_after=seconds)
        cooldowns.hinted(unit, Failure(error, 1, shared=True), run())

    return hinted


def test_a_candidate_that_never_failed_is_free(cooldowns, run):
    assert cooldowns.enter("a", run()) is Entry.FREE
    assert not cooldowns.cooling("a")
    assert cooldowns.kind("a") is None
    assert cooldowns.hinted_wait("a") == 0.0
    assert cooldowns.all_closed


def test_a_candidate_without_an_entry_is_free_in_every_method(cooldowns, run):
    cooldowns.answered("a", run())
    cooldowns.succeeded("a", run())
    cooldowns.abandoned("a")
    cooldowns.learn(SharedCooldown("a", 0.0, UpstreamKind.TIMEOUT))
    assert cooldowns.all_closed


@pytest.mark.parametrize("threshold", [2, 3])
def test_failures_of_different_runs_in_a_row_open_it(cooldowns, fail, run, threshold):
    fail(threshold - 1, threshold=threshold)
    assert cooldowns.enter("a", run()) is Entry.FREE
    fail(1, threshold=threshold)
    assert cooldowns.enter("a", run()) is Entry.COOLING
    assert cooldowns.enter("b", run()) is Entry.FREE


def test_one_run_counts_once(cooldowns, run):
    one = run()
    for _ in range(10):
        cooldowns.failed("a", Failure(OUTAGE, 3, shared=True), Entry.FREE, one)
    assert cooldowns.enter("a", run()) is Entry.FREE


def test_a_complete_answer_starts_the_count_again(cooldowns, fail, run):
    fail(2)
    cooldowns.succeeded("a", run())
    fail(2)
    assert cooldowns.enter("a", run()) is Entry.FREE


def test_after_its_cooldown_one_run_makes_the_probe(cooldowns, time, fail, run):
    fail()
    time.now += 1.9
    assert cooldowns.enter("a", run()) is Entry.COOLING
    time.now += 0.1
    entries = [cooldowns.enter("a", run()) for _ in range(3)]
    assert entries == [Entry.PROBE, Entry.COOLING, Entry.COOLING]
    assert cooldowns.cooling("a"), "others are served elsewhere while it lasts"


def test_a_timer_that_is_early_by_its_resolution_ends_the_cooldown(cooldowns, time, fail, run):
    fail()
    time.now += 1.999
    assert cooldowns.enter("a", run()) is Entry.PROBE


def test_a_failed_probe_doubles_the_cooldown_up_to_its_limit(cooldowns, time, fail, run):
    fail()
    lengths = []
    for _ in range(5):
        began = time.now
        while cooldowns.enter("a", run()) is Entry.COOLING:
            time.now += 0.25
        lengths.append(time.now - began)
        fail(1, entry=Entry.PROBE)
    assert lengths == [2.0, 4.0, 8.0, 15.0, 15.0]


def test_an_answer_to_the_probe_ends_it_and_the_next_one_begins_short_again(cooldowns, time, fail, run):
    fail()
    time.now += 2.0
    assert cooldowns.enter("a", run()) is Entry.PROBE
    fail(1, entry=Entry.PROBE)
    time.now += 4.0
    assert cooldowns.enter("a", run()) is Entry.PROBE
    cooldowns.answered("a", run())
    assert cooldowns.enter("a", run()) is Entry.FREE
    fail()
    time.now += 2.0
    assert cooldowns.enter("a", run()) is Entry.PROBE


def test_a_probe_that_was_abandoned_is_made_by_the_next_run(cooldowns, time, fail, run):
    fail()
    time.now += 2.0
    assert cooldowns.enter("a", run()) is Entry.PROBE
    cooldowns.abandoned("a")
    assert cooldowns.enter("a", run()) is Entry.PROBE


def test_late_failures_of_earlier_requests_do_not_prolong_a_cooldown(cooldowns, time, fail, run):
    fail(50)
    time.now += 2.0
    assert cooldowns.enter("a", run()) is Entry.PROBE


def test_retry_after_opens_a_cooldown_at_once(cooldowns, time, hint, run):
    hint(90.0)
    assert cooldowns.enter("a", run()) is Entry.COOLING
    assert cooldowns.hinted_wait("a") == 90.0
    time.now += 90.0
    assert cooldowns.enter("a", run()) is Entry.PROBE


@pytest.mark.parametrize(("seconds", "wait"), [(1e9, 600.0), (2.0, 2.0)])
def test_a_hint_is_bounded(cooldowns, hint, seconds, wait):
    hint(seconds)
    assert cooldowns.hinted_wait("a") == wait


def test_a_shorter_hint_does_not_shorten_a_cooldown(cooldowns, fail, hint, time, run):
    hint(60.0)
    hint(1.0)
    fail(1, entry=Entry.PROBE)
    assert cooldowns.hinted_wait("a") == 60.0


def test_without_retry_after_no_run_has_to_wait(cooldowns, fail):
    fail()
    assert cooldowns.hinted_wait("a") == 0.0


def test_the_client_that_opened_it_waits_longer_when_another_one_is_there(cooldowns, time, fail, run):
    fail(2, client="early")
    fail(1, client="noisy")
    assert cooldowns.enter("a", run("other")) is Entry.COOLING
    time.now += 2.0
    assert cooldowns.enter("a", run("noisy")) is Entry.COOLING
    time.now += 2.0
    assert cooldowns.enter("a", run("noisy")) is Entry.PROBE, "but not for ever"


def test_after_failures_of_one_client_alone_another_client_probes_at_once(cooldowns, fail, run):
    fail(client="noisy")
    assert not cooldowns.cooling("a", run("other"))
    entries = [cooldowns.enter("a", run(client)) for client in ("noisy", "other", "other", "third")]
    assert entries == [Entry.COOLING, Entry.PROBE, Entry.COOLING, Entry.COOLING]
    assert cooldowns.cooling("a", run("other"))


def test_an_answer_to_another_client_frees_all_but_the_one_that_failed(cooldowns, time, fail, run):
    fail(client="noisy")
    assert cooldowns.enter("a", run("other")) is Entry.PROBE
    cooldowns.answered("a", run("other"))
    cooldowns.succeeded("a", run("other"))
    assert [cooldowns.enter("a", run(client)) for client in ("other", "third")] == [Entry.FREE] * 2
    assert not cooldowns.cooling("a", run("third"))
    assert not cooldowns.cooling("a"), "the metrics show models that cool down for everybody"
    assert cooldowns.enter("a", run("noisy")) is Entry.COOLING
    time.now += 4.0
    assert cooldowns.enter("a", run("noisy")) is Entry.PROBE
    assert cooldowns.enter("a", run("other")) is Entry.FREE, "although that client probes"
    cooldowns.succeeded("a", run("noisy"))
    assert cooldowns.all_closed


def test_a_failure_of_another_client_makes_it_a_cooldown_for_everybody(cooldowns, fail, run):
    fail(client="noisy")
    assert cooldowns.enter("a", run("other")) is Entry.PROBE
    fail(1, client="other", entry=Entry.PROBE)
    assert [cooldowns.enter("a", run(client)) for client in ("other", "third")] == [Entry.COOLING] * 2


def test_failures_of_a_client_that_was_answered_meanwhile_are_counted_from_the_beginning(cooldowns, fail, run):
    fail(client="noisy")
    cooldowns.succeeded("a", run("other"))
    fail(2, client="other")
    assert cooldowns.enter("a", run("third")) is Entry.FREE
    fail(1, client="third")
    assert cooldowns.enter("a", run("fourth")) is Entry.COOLING


def test_the_probe_of_the_client_that_failed_holds_up_nobody_else(cooldowns, time, fail, run):
    fail(client="noisy")
    time.now += 2.0
    assert cooldowns.enter("a", run("noisy")) is Entry.PROBE
    assert cooldowns.enter("a", run("other")) is Entry.PROBE
    fail(1, client="noisy", entry=Entry.PROBE)
    cooldowns.answered("a", run("other"))
    assert cooldowns.enter("a", run("third")) is Entry.FREE


def test_a_providers_own_hint_holds_for_everybody(cooldowns, fail, hint, run):
    fail(client="noisy")
    hint(30.0)
    assert cooldowns.enter("a", run("other")) is Entry.COOLING


def test_a_published_cooldown_of_one_client_is_probed_by_another_at_once(cooldowns, time, run):
    published = []
    first = Cooldowns(CooldownPolicy(), clock=time)
    first.share(published.append)
    for _ in range(3):
        first.failed("a", Failure(OUTAGE, 3, shared=True), Entry.FREE, run("noisy"))
    cooldowns.learn(published[0])
    assert cooldowns.enter("a", run("noisy")) is Entry.COOLING
    assert cooldowns.enter("a", run("other")) is Entry.PROBE
    assert "noisy" not in published[0].client


def test_the_number_of_entries_is_bounded(cooldowns, fail, run):
    for number in range(MAX_ENTRIES + 500):
        fail(3, unit=f"own {number}")
        cooldowns.learn(SharedCooldown(f"learnt {number}", 60.0, UpstreamKind.TIMEOUT))
    assert len(cooldowns._entries) == MAX_ENTRIES
    assert cooldowns.enter("own 0", run()) is Entry.FREE
    assert cooldowns.enter("own 1499", run()) is Entry.COOLING


def test_old_failures_are_forgotten(cooldowns, time, fail, run):
    fail(1)
    time.now += 700.0
    cooldowns.enter("b", run())
    assert cooldowns.all_closed


def test_the_beginning_and_the_end_of_a_cooldown_are_published_without_text(time, run):
    published = []
    cooldowns = Cooldowns(CooldownPolicy(), clock=time)
    cooldowns.share(published.append)
    for _ in range(3):
        cooldowns.failed("a", Failure(UpstreamError(UpstreamKind.TIMEOUT, "text"), 3, shared=True), Entry.FREE, run())
    cooldowns.answered("a", run())
    assert published == [
        SharedCooldown("a", 2.0, UpstreamKind.TIMEOUT),
        SharedCooldown("a", 0.0, UpstreamKind.TIMEOUT),
    ]


def test_local_failures_are_not_published(time, run):
    published = []
    cooldowns = Cooldowns(CooldownPolicy(), clock=time)
    cooldowns.share(published.append)
    for _ in range(3):
        cooldowns.failed("a", Failure(UpstreamError(UpstreamKind.CONNECT, "x"), 3, shared=False), Entry.FREE, run())
    cooldowns.answered("a", run())
    assert published == []


def test_a_published_cooldown_steers_and_refuses_nothing(cooldowns, time, run):
    cooldowns.learn(SharedCooldown("a", 5.0, UpstreamKind.RATE_LIMITED))
    assert cooldowns.enter("a", run()) is Entry.COOLING
    assert cooldowns.hinted_wait("a") == 0.0, "the hint was another instance's"
    cooldowns.learn(SharedCooldown("a", 0.0, UpstreamKind.RATE_LIMITED))
    assert cooldowns.enter("a", run()) is Entry.FREE


def test_a_published_cooldown_lasts_no_longer_than_the_maximum_whatever_its_retry_after(cooldowns, time, run):
    """That instance's address may be limited, or its proxy may have answered."""
    cooldowns.learn(SharedCooldown("a", 660.0, UpstreamKind.RATE_LIMITED))
    time.now += 14.9
    assert cooldowns.enter("a", run()) is Entry.COOLING
    time.now += 0.1
    assert cooldowns.enter("a", run()) is Entry.PROBE
    cooldowns.answered("a", run())
    cooldowns.learn(SharedCooldown("a", 660.0, UpstreamKind.RATE_LIMITED))
    assert cooldowns.enter("a", run()) is Entry.FREE


def test_a_published_recovery_does_not_end_a_local_cooldown(cooldowns, fail, run):
    fail(shared=False)
    cooldowns.learn(SharedCooldown("a", 0.0, UpstreamKind.TIMEOUT))
    assert cooldowns.enter("a", run()) is Entry.COOLING


def test_a_published_cooldown_does_not_change_one_of_this_instance(cooldowns, hint):
    hint(30.0)
    cooldowns.learn(SharedCooldown("a", 500.0, UpstreamKind.TIMEOUT))
    assert cooldowns.hinted_wait("a") == 30.0


def test_a_candidate_that_answers_here_is_believed_more_than_other_instances_until_it_fails_here(
    cooldowns, time, fail, run
):
    shared = SharedCooldown("a", 5.0, UpstreamKind.TIMEOUT)
    cooldowns.learn(shared)
    time.now += 5
    assert cooldowns.enter("a", run()) is Entry.PROBE
    cooldowns.succeeded("a", run())
    for _ in range(50):
        cooldowns.learn(shared)
        assert cooldowns.enter("a", run()) is Entry.FREE
        time.now += 1
    cooldowns.learn(SharedCooldown("b", 5.0, UpstreamKind.TIMEOUT))
    assert cooldowns.enter("b", run()) is Entry.COOLING
    fail(3)
    cooldowns.succeeded("a", run())
    cooldowns.learn(shared)
    assert cooldowns.enter("a", run()) is Entry.COOLING


def test_a_success_during_a_published_cooldown_is_believed_for_five_minutes(cooldowns, time, run):
    cooldowns.learn(SharedCooldown("a", 5.0, UpstreamKind.TIMEOUT))
    cooldowns.succeeded("a", run())  # a run without an alternative asked all the same
    time.now += 299
    cooldowns.learn(SharedCooldown("a", 5.0, UpstreamKind.TIMEOUT))
    assert cooldowns.all_closed
    time.now += 1
    cooldowns.learn(SharedCooldown("a", 5.0, UpstreamKind.TIMEOUT))
    assert cooldowns.enter("a", run()) is Entry.COOLING


def test_the_number_of_candidates_that_are_believed_is_bounded(cooldowns, run):
    for number in range(MAX_ENTRIES + 5):
        cooldowns.learn(SharedCooldown(str(number), 5.0, UpstreamKind.TIMEOUT))
        cooldowns.succeeded(str(number), run())
    assert len(cooldowns._proven) == MAX_ENTRIES
