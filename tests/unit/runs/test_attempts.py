import asyncio
import contextlib
import logging

import pytest
from structlog.testing import capture_logs

from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidate_cooldown import Entry
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Failure
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

A, B = (ModelRef("p", name) for name in "ab")
Kind = UpstreamKind


def failure(kind, *, after=None, **fields):
    return UpstreamError(kind, kind.value, retry_after=after, **fields)


OUTAGE = failure(Kind.SERVER_ERROR, upstream_status=500)
RETRIED = [
    OUTAGE,
    failure(Kind.OVERLOADED, upstream_status=503),
    failure(Kind.RATE_LIMITED, upstream_status=429),
    failure(Kind.REPORTED_TIMEOUT, upstream_status=504),
    failure(Kind.TRANSPORT),
    failure(Kind.CONNECT),
    failure(Kind.LOCAL),
    failure(Kind.MALFORMED),
]
PASSED_ON = [
    failure(Kind.TIMEOUT),
    failure(Kind.STALL),
    failure(Kind.CONNECT_TIMEOUT),
    failure(Kind.TLS),
    failure(Kind.UNUSABLE, upstream_status=307),
    failure(Kind.TOO_LARGE, upstream_status=402),
    failure(Kind.AUTH, upstream_status=401),
    failure(Kind.BILLING, upstream_status=402),
    failure(Kind.NOT_FOUND, upstream_status=404),
    failure(Kind.CONTEXT_OVERFLOW, upstream_status=400),
    failure(Kind.RATE_LIMITED, upstream_status=429, after=3.1),
]
FINAL = [failure(Kind.INVALID_REQUEST, upstream_status=400), failure(Kind.CONTENT_FILTER, upstream_status=400)]


def named(error):
    return f"{error.kind}{error.retry_after or ''}"


def candidates(*refs, keys=1):
    rows = [Provider("p", "http://p/v1", key_id=str(key), headers={"K": str(key)}) for key in range(1, keys + 1)]
    return tuple(Candidate(ref, row, ModelSpec(ref.model)) for ref in refs for row in rows)


class Asked:
    """The answers of candidates, in the order of requests; exceptions are raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.log = []

    async def __call__(self, candidate):
        self.log.append(f"{candidate.ref.model}{candidate.provider.key_id}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def ask(run_context, asked, *refs, keys=1, client="", **settings):
    shared = run_context(**settings)
    trace = shared.new_trace("main", client)
    try:
        return await shared.attempts_of(candidates(*(refs or (A, B)), keys=keys), trace).ask(asked)
    finally:
        asked.trace = trace


async def test_the_first_answer_is_returned(run_context, time):
    asked = Asked("yes")
    assert await ask(run_context, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1"], [])
    assert asked.trace.as_dict()["outcome"] == "answered"


@pytest.mark.parametrize("error", RETRIED, ids=named)
async def test_a_temporary_failure_is_retried_on_the_same_model(run_context, time, error):
    asked = Asked(error, "yes")
    assert await ask(run_context, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a1"], [0.25])


@pytest.mark.parametrize("error", RETRIED, ids=named)
async def test_after_three_failed_requests_the_next_model_answers(run_context, time, error):
    asked = Asked(error, error, error, "yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["a1", "a1", "a1", "b1"]
    assert time.pauses == [0.25, 0.5]


@pytest.mark.parametrize("error", PASSED_ON, ids=named)
async def test_a_permanent_failure_goes_to_the_next_model_at_once(run_context, time, error):
    asked = Asked(error, "yes")
    assert await ask(run_context, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "b1"], [])


async def test_a_failure_that_the_provider_calls_final_is_not_retried_on_the_same_model(run_context, time):
    error = UpstreamError(UpstreamKind.OVERLOADED, "Overloaded")
    error.final = True
    asked = Asked(error, "yes")
    assert await ask(run_context, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "b1"], [])


@pytest.mark.parametrize("error", FINAL, ids=named)
async def test_a_fault_of_the_request_is_sent_to_no_other_model(run_context, cooldowns, error):
    asked = Asked(error, "yes")
    with pytest.raises(UpstreamError) as caught:
        await ask(run_context, asked)
    assert caught.value is error
    assert asked.log == ["a1"]
    assert cooldowns.all_closed


async def test_retry_after_is_obeyed(run_context, time):
    asked = Asked(failure(Kind.RATE_LIMITED, after=2.0), "yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["a1", "a1"]
    assert time.pauses == [2.25]


async def test_when_all_fail_the_last_failure_is_raised(run_context):
    last = failure(Kind.OVERLOADED, upstream_status=503)
    asked = Asked(*[OUTAGE] * 3, *[last] * 3)
    with pytest.raises(UpstreamError) as caught:
        await ask(run_context, asked)
    assert caught.value is last
    assert asked.log == ["a1"] * 3 + ["b1"] * 3


async def test_nothing_is_tried_after_the_deadline(run_context, time):
    async def slow(candidate):
        asked.log.append(candidate.ref.model)
        time.now += 400.0
        raise OUTAGE

    asked = Asked()
    shared = run_context()
    with pytest.raises(UpstreamError):
        await shared.attempts_of(candidates(A, B), shared.new_trace("main")).ask(slow)
    assert asked.log == ["a", "a"]


async def test_a_shorter_limit_of_the_agent_is_the_deadline(run_context, time):
    async def slow(candidate):
        asked.append(candidate.ref.model)
        time.now += 20.0
        raise OUTAGE

    for timeout, count in ((30.0, 2), (10.0, 1), (10_000.0, 3)):
        asked, shared = [], run_context()
        with pytest.raises(UpstreamError):
            await shared.attempts_of(candidates(ModelRef("p", f"m{count}")), shared.new_trace("main"), timeout).ask(
                slow
            )
        assert len(asked) == count


async def test_a_pause_beyond_the_deadline_is_not_begun(run_context, time):
    async def slow(candidate):
        log.append(candidate.ref.model)
        if candidate.ref == B:
            return "yes"
        time.now += 590.0
        raise failure(Kind.RATE_LIMITED, after=30.0)

    log = []
    shared = run_context()
    assert await shared.attempts_of(candidates(A, B), shared.new_trace("main")).ask(slow) == "yes"
    assert (log, time.pauses) == (["a", "b"], [])


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.AUTH, Kind.BILLING, Kind.NOT_FOUND, Kind.TOO_LARGE])
async def test_another_key_is_asked_at_once_when_one_is_refused(run_context, time, kind):
    asked = Asked(failure(kind), failure(kind), "yes")
    assert await ask(run_context, asked, keys=3) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a2", "a3"], [])


async def test_an_outage_is_not_retried_with_every_key(run_context):
    asked = Asked(*[OUTAGE] * 3, "yes")
    assert await ask(run_context, asked, keys=3) == "yes"
    assert asked.log == ["a1", "a1", "a1", "b1"]


@pytest.mark.parametrize("error", [failure(Kind.NOT_FOUND), failure(Kind.CONTEXT_OVERFLOW), *FINAL], ids=named)
async def test_invalid_requests_never_open_a_cooldown(run_context, cooldowns, error):
    for _ in range(10):
        with pytest.raises(UpstreamError):
            await ask(run_context, Asked(error), A)
    assert cooldowns.all_closed


async def test_a_probe_that_fails_because_of_the_request_ends_the_cooldown(run_context, time, cooldowns):
    await outage(run_context)
    time.now += 2.0
    with pytest.raises(UpstreamError):
        await ask(run_context, Asked(FINAL[0]), A)
    asked = Asked("yes")
    await ask(run_context, asked, A)
    assert asked.log == ["a1"]


async def test_a_failure_at_the_deadline_of_the_run_does_not_count_against_the_model(run_context, time, cooldowns):
    async def late(_):
        time.now += 700.0
        raise PASSED_ON[0]

    shared = run_context()
    with pytest.raises(UpstreamError):
        await shared.attempts_of(candidates(A), shared.new_trace("main")).ask(late)
    assert cooldowns.all_closed


async def test_a_cancelled_probe_leaves_the_probe_to_the_next_run(run_context, time):
    async def hangs(_):
        await asyncio.Event().wait()

    await outage(run_context)
    time.now += 2.0
    shared = run_context()
    trace = shared.new_trace("main")
    probing = asyncio.create_task(shared.attempts_of(candidates(A), trace).ask(hangs))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert [one["outcome"] for one in trace.as_dict()["attempts"]] == ["cancelled"]
    assert trace.as_dict()["outcome"] == "cancelled"
    asked = Asked("yes")
    await ask(run_context, asked, A)
    assert asked.log == ["a1"]


async def test_the_trace_has_every_attempt_without_any_key(run_context):
    asked = Asked(failure(Kind.RATE_LIMITED, upstream_status=429, after=2.0), OUTAGE, failure(Kind.TRANSPORT), "yes")
    await ask(run_context, asked)
    attempts = [
        (one["model"], one["key_id"], one["waited"], one["status"], one["outcome"])
        for one in asked.trace.as_dict()["attempts"]
    ]
    assert attempts == [
        ("p/a", "1", 0.0, 429, "rate_limited"),
        ("p/a", "1", 2.25, 500, "server_error"),
        ("p/a", "1", 0.5, None, "transport"),
        ("p/b", "1", 0.0, 200, "answered"),
    ]


@pytest.mark.parametrize(
    ("failures", "level"),
    [([], "debug"), ([OUTAGE], "info"), ([failure(Kind.INVALID_REQUEST)], "warning")],
    ids=["success", "retried", "failed"],
)
async def test_every_run_is_logged_but_plain_success_only_at_debug_level(run_context, monkeypatch, failures, level):
    monkeypatch.setattr("gateway.observe.log._threshold", logging.DEBUG)
    asked = Asked(*failures, "yes")
    with capture_logs() as lines, contextlib.suppress(UpstreamError):
        await ask(run_context, asked)
    assert [(line["log_level"], line["attempts"]) for line in lines] == [(level, asked.trace.as_dict()["attempts"])]


async def outage(run_context, runs=3, error=OUTAGE, **options):
    """Runs in which a fails and b answers."""
    for _ in range(runs):
        failures = 3 if error is OUTAGE else 1
        await ask(run_context, Asked(*[error] * failures, "yes"), **options)


async def test_pauses_double_with_full_jitter_up_to_their_limit(run_context, time):
    await ask(run_context, Asked(OUTAGE, OUTAGE, "yes"), A, backoff=4.0, max_backoff=6.0)
    assert time.pauses == [2.0, 3.0]


async def test_no_candidate_is_asked_more_than_three_times(run_context, cooldowns):
    stale = failure(Kind.STALE)
    asked = Asked(stale, OUTAGE, OUTAGE, "yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["a1", "a1", "a1", "b1"], "the request that met a stale connection is one of the three"


async def test_a_stale_connection_is_no_failure_and_costs_no_pause(run_context, time, cooldowns):
    asked = Asked(failure(Kind.STALE), "yes")
    assert await ask(run_context, asked, retries=0) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a1"], [])
    assert [one["outcome"] for one in asked.trace.as_dict()["attempts"]] == ["stale_connection", "answered"]
    assert cooldowns.all_closed


async def test_only_the_first_request_to_a_candidate_reuses_a_connection(run_context):
    async def call(candidate):
        fresh.append((candidate.ref.model, attempts.fresh))
        raise OUTAGE

    fresh, shared = [], run_context()
    attempts = shared.attempts_of(candidates(A, B), shared.new_trace("main"))
    with pytest.raises(UpstreamError):
        await attempts.ask(call)
    assert fresh == [("a", False), ("a", True), ("a", True), ("b", False), ("b", True), ("b", True)]


async def test_a_stalled_model_is_asked_again_after_all_others(run_context, time):
    asked = Asked(failure(Kind.STALL), failure(Kind.TIMEOUT), "yes")
    assert await ask(run_context, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "b1", "a1"], [])


async def test_a_stalled_model_is_no_fallback_that_shortens_timeouts(run_context):
    async def call(candidate):
        fallbacks.append((candidate.ref.model, attempts.has_fallback))
        raise failure(Kind.STALL)

    fallbacks, shared = [], run_context()
    attempts = shared.attempts_of(candidates(A, B), shared.new_trace("main"))
    with pytest.raises(UpstreamError):
        await attempts.ask(call)
    assert fallbacks == [("a", True), ("b", False), ("a", False)]


async def test_of_models_that_cool_down_one_with_a_refused_key_is_asked_last(run_context):
    unit = [one.unit for one in candidates(A, B)]
    shared = run_context()
    for threshold, error, name in ((2, failure(Kind.AUTH), unit[0]), (3, OUTAGE, unit[1])):
        for _ in range(threshold):
            shared.cooldowns.failed(name, Failure(error, threshold, shared=False), Entry.FREE, shared.new_trace("main"))
    asked = Asked("yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["b1"]


async def test_a_stalled_model_is_asked_again_only_once(run_context):
    asked = Asked(*[failure(Kind.STALL)] * 2)
    with pytest.raises(UpstreamError):
        await ask(run_context, asked, A)
    assert asked.log == ["a1", "a1"]


@pytest.mark.parametrize(("hint", "pauses"), [(3.0, [3.25]), (60.0, [60.25])])
async def test_the_maximum_retry_after_depends_on_the_alternatives(run_context, time, hint, pauses):
    asked = Asked(failure(Kind.RATE_LIMITED, after=hint), "yes")
    assert await ask(run_context, asked, *((A, B) if hint == 3.0 else (A,))) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a1"], pauses)


async def test_the_sum_of_retry_afters_of_one_candidate_is_limited(run_context, time):
    asked = Asked(*[failure(Kind.RATE_LIMITED, after=2.0)] * 2, "yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["a1", "a1", "b1"]


async def test_a_retry_after_beyond_the_maximum_fails_at_once(run_context, time):
    with pytest.raises(UpstreamError) as caught:
        await ask(run_context, Asked(failure(Kind.RATE_LIMITED, after=61.0)), A)
    assert caught.value.headers == {"Retry-After": "61"}
    assert time.pauses == []


async def test_failures_of_three_runs_in_a_row_make_a_model_cool_down_however_often_each_retried(run_context):
    await outage(run_context, 2)
    asked = Asked("yes")
    await ask(run_context, asked, A)
    await outage(run_context, 2)
    asked = Asked("yes", "yes")
    await ask(run_context, asked)
    assert asked.log == ["a1"], "an answer in between starts the count again"
    await outage(run_context, 3)
    await ask(run_context, asked)
    assert asked.log == ["a1", "b1"]


async def test_rounds_of_one_run_count_once(run_context, cooldowns):
    shared = run_context()
    trace = shared.new_trace("main")
    for _ in range(5):
        await shared.attempts_of(candidates(A, B), trace, part=True).ask(Asked(*[OUTAGE] * 3, "yes"))
    asked = Asked("yes")
    await ask(run_context, asked)
    assert asked.log == ["a1"]


async def test_a_model_that_cooled_down_is_probed_once_and_not_retried(run_context, time):
    await outage(run_context)
    time.now += 2.0
    asked = Asked(OUTAGE, "yes", "yes", "yes")
    await ask(run_context, asked)
    assert asked.log == ["a1", "b1"], "a failed probe is not retried"
    time.now += 3.9
    await ask(run_context, asked)
    assert asked.log[2:] == ["b1"], "it cools down for twice as long"
    time.now += 0.1
    await ask(run_context, asked)
    assert asked.log[3:] == ["a1"]


async def test_a_refused_key_cools_down_after_two_runs_and_no_other_does(run_context):
    for _ in range(2):
        await ask(run_context, Asked(failure(Kind.AUTH), "yes"), A, keys=2)
    asked = Asked("yes")
    await ask(run_context, asked, A, keys=2)
    assert asked.log == ["a2"]


async def test_a_cooldown_steers_and_does_not_refuse(run_context, time):
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await ask(run_context, Asked(*[OUTAGE] * 3), A)
    time.pauses.clear()
    asked = Asked(OUTAGE, "yes")
    assert await ask(run_context, asked, A) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a1"], [0.25]), "who has no alternative asks at once, and retries"


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.BILLING])
async def test_a_refused_key_without_alternative_is_asked_all_the_same(run_context, kind):
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await ask(run_context, Asked(failure(kind)), A)
    asked = Asked("yes")
    assert await ask(run_context, asked, A) == "yes"


async def test_a_run_without_an_alternative_obeys_retry_after(run_context, time):
    await outage(run_context, 1, failure(Kind.RATE_LIMITED, after=30.0))
    time.now += 10.0
    asked = Asked("yes")
    assert await ask(run_context, asked, A) == "yes"
    assert time.pauses == [20.25]
    assert asked.trace.waited == 20.25


async def test_a_long_retry_after_fails_at_once_without_the_text_for_another_client(run_context, time):
    limited = UpstreamError(Kind.RATE_LIMITED, "org-of-another-client is over its limit", retry_after=90.0)
    with pytest.raises(UpstreamError):
        await ask(run_context, Asked(limited), A)
    with pytest.raises(UpstreamError, match="was not asked") as caught:
        await ask(run_context, asked := Asked("yes"), A)
    assert (caught.value.status, caught.value.headers, time.pauses) == (429, {"Retry-After": "90"}, [])
    assert "another-client" not in caught.value.message
    assert asked.trace.as_dict()["attempts"] == []


async def test_a_candidate_that_recovers_while_another_is_asked_is_free(run_context, cooldowns):
    await outage(run_context)

    async def call(candidate):
        log.append(candidate.ref.model)
        if candidate.ref == B:
            cooldowns.succeeded(candidates(A)[0].unit, shared.new_trace("main"))  # another run had an answer meanwhile
            raise failure(Kind.AUTH)
        return "yes"

    log, shared = [], run_context()
    assert await shared.attempts_of(candidates(A, B), shared.new_trace("main")).ask(call) == "yes"
    assert log == ["b", "a"]


async def test_a_refused_key_does_not_replace_the_failure_of_the_fallback(run_context):
    await outage(run_context, 2, failure(Kind.AUTH))
    asked = Asked(*[OUTAGE] * 3)
    with pytest.raises(UpstreamError) as caught:
        await ask(run_context, asked)
    assert caught.value is OUTAGE
    assert asked.log == ["b1"] * 3


async def test_a_model_that_cools_down_after_an_outage_is_asked_when_the_fallback_fails(run_context):
    await outage(run_context)
    asked = Asked(failure(Kind.TIMEOUT), "yes")
    assert await ask(run_context, asked) == "yes"
    assert asked.log == ["b1", "a1"]


async def test_the_client_whose_requests_opened_a_cooldown_does_not_probe_while_others_are_active(run_context, time):
    await outage(run_context, client="noisy")
    asked = Asked("yes", "yes", "yes")
    await ask(run_context, asked, client="other")
    time.now += 2.0
    await ask(run_context, asked, client="noisy")
    await ask(run_context, asked, client="other")
    assert asked.log == ["a1", "b1", "a1"]


async def test_the_client_whose_requests_opened_a_cooldown_probes_when_it_is_alone(run_context, time):
    await outage(run_context, client="noisy")
    time.now += 2.0
    asked = Asked("yes")
    await ask(run_context, asked, client="noisy")
    assert asked.log == ["a1"]


@pytest.mark.parametrize(("refs", "fallback"), [((A, B), True), ((A,), False)])
async def test_timeouts_depend_on_whether_another_model_can_be_asked(run_context, refs, fallback):
    shared = run_context()
    attempts = shared.attempts_of(candidates(*refs), shared.new_trace("main"))
    await attempts.first()
    assert attempts.has_fallback is fallback
    attempts.close()


async def test_a_fallback_that_cools_down_does_not_count_as_one(run_context, cooldowns):
    unit = candidates(B)[0].unit
    for _ in range(3):
        cooldowns.failed(unit, Failure(OUTAGE, 3, shared=True), Entry.FREE, run_context().new_trace("main"))
    shared = run_context()
    attempts = shared.attempts_of(candidates(A, B), shared.new_trace("main"))
    await attempts.first()
    assert not attempts.has_fallback
    attempts.close()
