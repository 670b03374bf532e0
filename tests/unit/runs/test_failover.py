import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate
from gateway.upstream.provider import Provider
from gateway.wire.compat import ModelSpec

A, B = (ModelRef("p", name) for name in "ab")
Kind = UpstreamKind


def failure(kind, *, after=None, **fields):
    return UpstreamError(kind, kind.value, retry_after=after, **fields)


OUTAGE = failure(Kind.SERVER_ERROR, upstream_status=500)
RETRIED = [
    OUTAGE,
    failure(Kind.OVERLOADED, upstream_status=503),
    failure(Kind.RATE_LIMITED, upstream_status=429),
    failure(Kind.TIMEOUT, upstream_status=504),
    failure(Kind.TRANSPORT),
    failure(Kind.MALFORMED),
]
PASSED_ON = [
    failure(Kind.TIMEOUT, retryable=False),
    failure(Kind.TRANSPORT, retryable=False),
    failure(Kind.AUTH, upstream_status=401),
    failure(Kind.BILLING, upstream_status=402),
    failure(Kind.NOT_FOUND, upstream_status=404),
    failure(Kind.CONTEXT_OVERFLOW, upstream_status=400),
    failure(Kind.RATE_LIMITED, upstream_status=429, after=61.0),
]
FINAL = [failure(Kind.INVALID_REQUEST, upstream_status=400), failure(Kind.CONTENT_FILTER, upstream_status=400)]


def named(error):
    return f"{error.kind}{'' if error.retryable else '-once'}{error.retry_after or ''}"


def candidates(*refs, keys=1):
    rows = [Provider("p", "http://p/v1", key_id=str(key)) for key in range(1, keys + 1)]
    return [Candidate(ref, row, ModelSpec(ref.model)) for ref in refs for row in rows]


class Asked:
    """Answers of candidates in the order in which they are asked; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.log = []

    async def __call__(self, candidate):
        self.log.append(f"{candidate.ref.model}{candidate.provider.key_id}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def ask(dispatch, asked, *refs, keys=1, **settings):
    shared = dispatch(**settings)
    trail = shared.trail("main")
    try:
        return await shared.attempts_of(candidates(*(refs or (A, B)), keys=keys), trail).ask(asked)
    finally:
        asked.trail = trail


async def test_the_first_answer_is_taken(dispatch, time):
    asked = Asked("yes")
    assert await ask(dispatch, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1"], [])
    assert asked.trail.as_dict()["outcome"] == "answered"


@pytest.mark.parametrize("error", RETRIED, ids=named)
async def test_a_passing_failure_is_retried_on_the_same_model(dispatch, time, error):
    asked = Asked(error, "yes")
    assert await ask(dispatch, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a1"], [0.25])


@pytest.mark.parametrize("error", RETRIED, ids=named)
async def test_a_lasting_failure_is_asked_about_three_times_then_the_next_model_answers(dispatch, time, error):
    asked = Asked(error, error, error, "yes")
    assert await ask(dispatch, asked) == "yes"
    assert asked.log == ["a1", "a1", "a1", "b1"]
    assert time.pauses == [0.25, 0.5]


@pytest.mark.parametrize("error", PASSED_ON, ids=named)
async def test_what_will_not_change_goes_to_the_next_model_at_once(dispatch, time, error):
    asked = Asked(error, "yes")
    assert await ask(dispatch, asked) == "yes"
    assert (asked.log, time.pauses) == (["a1", "b1"], [])


@pytest.mark.parametrize("error", FINAL, ids=named)
async def test_a_fault_of_the_request_goes_nowhere_else(dispatch, circuits, error):
    asked = Asked(error, "yes")
    with pytest.raises(UpstreamError) as caught:
        await ask(dispatch, asked)
    assert caught.value is error
    assert asked.log == ["a1"]
    assert circuits.quiet


async def test_pauses_double_with_full_jitter_up_to_their_limit(dispatch, time):
    asked = Asked(*[OUTAGE] * 3, "yes")
    await ask(dispatch, asked, A, retries=5, backoff=4.0, longest=10.0)
    # The third failure in a row opens the circuit, whose rest is waited out.
    assert time.pauses[:3] == [2.0, 4.0, 5.0]


async def test_the_providers_hint_is_waited_for(dispatch, time):
    asked = Asked(failure(Kind.RATE_LIMITED, after=2.0), "yes")
    assert await ask(dispatch, asked) == "yes"
    assert asked.log == ["a1", "a1"]
    assert time.pauses == [2.25]


async def test_when_all_fail_the_last_failure_is_told(dispatch):
    last = failure(Kind.OVERLOADED, upstream_status=503)
    asked = Asked(*[OUTAGE] * 3, *[last] * 3)
    with pytest.raises(UpstreamError) as caught:
        await ask(dispatch, asked)
    assert caught.value is last
    assert asked.log == ["a1"] * 3 + ["b1"] * 3


async def test_nothing_is_tried_after_the_deadline(dispatch, time):
    async def slow(candidate):
        asked.log.append(candidate.ref.model)
        time.now += 400.0
        raise OUTAGE

    asked = Asked()
    shared = dispatch()
    with pytest.raises(UpstreamError):
        await shared.attempts_of(candidates(A, B), shared.trail("main")).ask(slow)
    assert asked.log == ["a", "a"]


async def test_an_agents_own_limit_is_the_deadline_when_it_is_shorter(dispatch, time):
    async def slow(candidate):
        asked.append(candidate.ref.model)
        time.now += 20.0
        raise OUTAGE

    for timeout, count in ((30.0, 2), (10.0, 1), (10_000.0, 3)):
        asked, shared = [], dispatch()
        with pytest.raises(UpstreamError):
            await shared.attempts_of(candidates(ModelRef("p", f"m{count}")), shared.trail("main"), timeout).ask(slow)
        assert len(asked) == count


async def test_a_pause_beyond_the_deadline_is_not_begun(dispatch, time):
    async def slow(candidate):
        log.append(candidate.ref.model)
        if candidate.ref == B:
            return "yes"
        time.now += 590.0
        raise failure(Kind.RATE_LIMITED, after=30.0)

    log = []
    shared = dispatch()
    assert await shared.attempts_of(candidates(A, B), shared.trail("main")).ask(slow) == "yes"
    assert (log, time.pauses) == (["a", "b"], [])


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.AUTH, Kind.BILLING])
async def test_another_key_is_asked_at_once_when_one_is_refused(dispatch, time, kind):
    asked = Asked(failure(kind), failure(kind), "yes")
    assert await ask(dispatch, asked, keys=3) == "yes"
    assert (asked.log, time.pauses) == (["a1", "a2", "a3"], [])


async def test_an_outage_is_not_asked_about_with_every_key(dispatch):
    asked = Asked(*[OUTAGE] * 3, "yes")
    assert await ask(dispatch, asked, keys=3) == "yes"
    assert asked.log == ["a1", "a1", "a1", "b1"]


async def test_a_refused_key_rests_and_no_other(dispatch):
    await ask(dispatch, Asked(failure(Kind.AUTH), "yes"), A, keys=2)
    asked = Asked("yes")
    await ask(dispatch, asked, A, keys=2)
    assert asked.log == ["a2"]


async def test_a_model_that_failed_repeatedly_is_passed_over_then_probed_once(dispatch, time):
    await ask(dispatch, Asked(*[OUTAGE] * 3, "yes"))
    asked = Asked("yes", "yes", OUTAGE, "yes", "yes")
    await ask(dispatch, asked)
    time.now += 2.0
    await ask(dispatch, asked)
    assert asked.log == ["b1", "a1"]
    await ask(dispatch, Asked(*[OUTAGE] * 3, "yes"))
    time.now += 2.0
    await ask(dispatch, asked)
    assert asked.log[2:] == ["a1", "b1"], "a failed probe is not retried"


@pytest.mark.parametrize("error", [failure(Kind.NOT_FOUND), failure(Kind.CONTEXT_OVERFLOW), *FINAL], ids=named)
async def test_a_callers_own_mistakes_never_make_a_model_rest(dispatch, circuits, error):
    for _ in range(10):
        with pytest.raises(UpstreamError):
            await ask(dispatch, Asked(error), A)
    assert circuits.quiet


async def test_a_probe_that_finds_a_fault_of_the_request_has_found_the_model_alive(dispatch, time, circuits):
    await ask(dispatch, Asked(*[OUTAGE] * 3, "yes"))
    time.now += 2.0
    with pytest.raises(UpstreamError):
        await ask(dispatch, Asked(FINAL[0]), A)
    asked = Asked("yes")
    await ask(dispatch, asked, A)
    assert asked.log == ["a1"]


async def test_a_silent_model_rests_after_one_run_has_waited_for_it(dispatch):
    await ask(dispatch, Asked(PASSED_ON[0], "yes"))
    asked = Asked("yes")
    await ask(dispatch, asked)
    assert asked.log == ["b1"]


async def test_a_rest_is_waited_out_when_nobody_else_can_answer(dispatch, time):
    with pytest.raises(UpstreamError):
        await ask(dispatch, Asked(*[OUTAGE] * 3), A)
    asked = Asked("yes")
    time.pauses.clear()
    assert await ask(dispatch, asked, A) == "yes"
    assert (asked.log, time.pauses) == (["a1"], [2.0])
    assert asked.trail.waited == 2.0


async def test_after_a_rest_one_attempt_is_made_and_its_failure_told(dispatch):
    with pytest.raises(UpstreamError):
        await ask(dispatch, Asked(*[OUTAGE] * 3), A)
    asked = Asked(OUTAGE)
    with pytest.raises(UpstreamError) as caught:
        await ask(dispatch, asked, A)
    assert caught.value is OUTAGE
    assert asked.log == ["a1"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(failure(Kind.AUTH), 502), (failure(Kind.RATE_LIMITED, after=90.0), 429)],
    ids=["key", "limit"],
)
async def test_what_waiting_does_not_mend_is_told_at_once(dispatch, time, error, status):
    with pytest.raises(UpstreamError):
        await ask(dispatch, Asked(error), A)
    asked = Asked("yes")
    with pytest.raises(UpstreamError, match="was not asked") as caught:
        await ask(dispatch, asked, A)
    assert (caught.value.status, asked.log, time.pauses) == (status, [], [])
    assert asked.trail.as_dict()["attempts"] == []


async def test_a_failure_at_our_own_deadline_is_not_held_against_the_model(dispatch, time, circuits):
    async def late(_):
        time.now += 700.0
        raise PASSED_ON[0]

    shared = dispatch()
    with pytest.raises(UpstreamError):
        await shared.attempts_of(candidates(A), shared.trail("main")).ask(late)
    assert circuits.quiet


async def test_a_caller_that_leaves_during_a_probe_frees_it_for_others(dispatch, time):
    async def hangs(_):
        await asyncio.Event().wait()

    await ask(dispatch, Asked(*[OUTAGE] * 3, "yes"))
    time.now += 2.0
    shared = dispatch()
    trail = shared.trail("main")
    probing = asyncio.create_task(shared.attempts_of(candidates(A), trail).ask(hangs))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert [one["outcome"] for one in trail.as_dict()["attempts"]] == ["cancelled"]
    assert trail.as_dict()["outcome"] == "cancelled"
    asked = Asked("yes")
    await ask(dispatch, asked, A)
    assert asked.log == ["a1"]


async def test_the_trail_tells_every_attempt_without_any_key(dispatch):
    asked = Asked(failure(Kind.RATE_LIMITED, upstream_status=429, after=2.0), OUTAGE, failure(Kind.TRANSPORT), "yes")
    await ask(dispatch, asked)
    told = [
        (one["model"], one["key_id"], one["waited"], one["status"], one["outcome"])
        for one in asked.trail.as_dict()["attempts"]
    ]
    assert told == [
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
async def test_the_log_tells_of_every_run_but_of_a_plain_success_only_to_who_wants_details(dispatch, failures, level):
    asked = Asked(*failures, "yes")
    with capture_logs() as lines, contextlib.suppress(UpstreamError):
        await ask(dispatch, asked)
    assert [(line["log_level"], line["attempts"]) for line in lines] == [(level, asked.trail.as_dict()["attempts"])]
