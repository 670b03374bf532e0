"""A mistake in the use of the library raises an error at once that says what to do."""

import asyncio

import pytest
from limits import parse

from openclaw_ratelimit import (
    BudgetPolicy,
    ConfigurationError,
    DelayPolicy,
    FailureDelay,
    FailureLimiter,
    LockoutPolicy,
    PolicyError,
    Quota,
    QuotaExceeded,
    QuotaPolicy,
    Refusal,
    Reservation,
    UsageError,
)

PER = ("address",)


@pytest.mark.parametrize("counts", ["token", "run", "request", "", None])
def test_a_policy_counts_what_is_known(counts):
    with pytest.raises(PolicyError, match="counts must be one of requests, tokens, runs"):
        QuotaPolicy("a", counts, 1)


@pytest.mark.parametrize("amount", [0, -1, 2.5, True, "5", None, 2**53 + 1])
def test_amounts_are_whole_numbers(amount):
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        QuotaPolicy("a", "requests", amount)
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        LockoutPolicy(max_attempts=amount)
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        BudgetPolicy(failures=amount)
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        FailureLimiter(LockoutPolicy(), capacity=amount)
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        Quota([], capacity=amount)
    with pytest.raises(PolicyError, match="whole number of at least 1"):
        FailureDelay(capacity=amount)


@pytest.mark.parametrize("window", [1.25, 0, "60", 10**9 + 1])
def test_windows_of_quotas_and_leases_are_whole_seconds(window):
    with pytest.raises(PolicyError, match="window must be a whole number"):
        QuotaPolicy("a", "requests", 1, window)
    with pytest.raises(PolicyError, match="window must be a whole number"):
        BudgetPolicy(window=window)
    with pytest.raises(PolicyError, match="lease must be a whole number"):
        Quota([], lease=window)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf"), "60", True, 0.0009, 1e300])
def test_times_are_positive_numbers_of_seconds(seconds):
    for make in (LockoutPolicy, DelayPolicy):
        with pytest.raises(PolicyError, match="positive number of seconds"):
            make(window=seconds)


@pytest.mark.parametrize("per", ["ip", [1], 5, None])
def test_per_is_a_sequence_of_names(per):
    with pytest.raises(PolicyError, match="per must be a sequence"):
        QuotaPolicy("a", "requests", 1, per=per)


@pytest.mark.parametrize("only", ["ip", {"ip": "10.0.0.1"}, {"ip": [1]}])
def test_only_maps_attributes_to_values(only):
    with pytest.raises(PolicyError, match="only"):
        QuotaPolicy("a", "requests", 1, only=only)


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a:b", "x" * 65, 5])
def test_a_name_can_stand_in_a_header(name):
    with pytest.raises(PolicyError, match="name must be"):
        QuotaPolicy(name, "requests", 1)


def test_a_policy_that_could_never_apply_is_refused():
    first, second = QuotaPolicy("a", "requests", 5), QuotaPolicy("a", "requests", 50)
    with pytest.raises(PolicyError, match="an earlier policy has this name"):
        Quota([first, second])
    Quota([QuotaPolicy("a", "requests", 50, only={"ip": ["10.*"]}), second])  # an exception before a rule


@pytest.mark.parametrize("kind", ["login failures", "", "a:b", None])
def test_a_kind_can_stand_in_a_message(kind):
    with pytest.raises(ConfigurationError, match="kind must be"):
        FailureLimiter(LockoutPolicy(), kind=kind)
    with pytest.raises(ConfigurationError, match="kind must be"):
        Quota([], kind=kind)


@pytest.mark.parametrize("wrong", [{"while_away": "remote"}, {"budget": 100}, {"policy": {"max_attempts": 3}}], ids=str)
def test_the_arguments_of_a_limiter_are_checked(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        FailureLimiter(**{"policy": LockoutPolicy(), **wrong})


@pytest.mark.parametrize("key", [None, 5, ("203.0.113.9",)])
async def test_a_key_is_text_or_bytes(key):
    limiter = FailureLimiter(LockoutPolicy())
    with pytest.raises(UsageError, match="a key must be str or bytes"):
        await limiter.record_failure(key)
    with pytest.raises(UsageError, match="a key must be str or bytes"):
        limiter.must_ask(key)
    with pytest.raises(UsageError, match="a key must be str or bytes"):
        limiter.succeed_now(key)


@pytest.mark.parametrize("attributes", [None, "address", [("address",)], {"address": 5}, {"address": ["x"]}, {5: "x"}])
async def test_attributes_are_a_mapping_of_text(attributes):
    quota = Quota([QuotaPolicy("a", "requests", 1)])
    with pytest.raises(UsageError, match="attribute"):
        await quota.reserve(attributes)


@pytest.mark.parametrize("tokens", [-1, 2.5, "5", None, True])
async def test_tokens_are_whole_numbers(tokens):
    quota = Quota([QuotaPolicy("a", "tokens", 10)])
    with pytest.raises(UsageError, match="tokens must be a whole number of at least 0"):
        await quota.reserve({}, tokens)
    reserved = await quota.reserve({}, 1)
    with pytest.raises(UsageError, match="tokens must be a whole number of at least 0"):
        reserved.used(tokens)


async def test_mappings_and_pairs_are_one_asker():
    quota = Quota([QuotaPolicy("a", "requests", 1, per=PER)])
    assert isinstance(await quota.reserve({"address": "x"}), Reservation)
    assert isinstance(await quota.reserve((("address", "x"),)), Refusal)
    assert isinstance(await quota.reserve({"address": b"x"}), Refusal)
    assert isinstance(await quota.reserve({"address": "\udcff"}), Reservation)
    assert isinstance(await quota.reserve({"address": b"\xff"}), Refusal)


@pytest.mark.parametrize("text", ["5/minute", "5 per 1 minute", parse("5/minute")])
def test_policies_are_written_in_the_notation_of_limits(text):
    assert QuotaPolicy.parse("a", text, per=PER) == QuotaPolicy("a", "requests", 5, 60, PER)
    assert LockoutPolicy.parse(text, lockout=30.0) == LockoutPolicy(5, 60.0, 30.0)


@pytest.mark.parametrize("text", ["", "five/minute", "5/fortnight", "0/minute"])
def test_a_notation_that_says_nothing_is_refused(text):
    with pytest.raises(PolicyError):
        QuotaPolicy.parse("a", text)


def test_runs_have_no_window():
    with pytest.raises(PolicyError, match="runs know no window"):
        QuotaPolicy.parse("a", "5/minute", counts="runs")


async def test_an_attempt_without_a_result_is_an_error():
    limiter = FailureLimiter(LockoutPolicy())
    with pytest.raises(UsageError, match=r"failed\(\), succeeded\(\) or discard\(\)"):
        async with limiter.attempt("a"):
            pass


async def result(attempt, name):
    made = getattr(attempt, name)()
    if made is not None:
        await made


@pytest.mark.parametrize("first", ["failed", "succeeded", "discard"])
@pytest.mark.parametrize("second", ["failed", "succeeded", "discard"])
async def test_a_second_result_of_an_attempt_is_an_error(first, second):
    limiter = FailureLimiter(LockoutPolicy())
    async with limiter.attempt("a") as attempt:
        await result(attempt, first)
        with pytest.raises(UsageError, match="has a result already"):
            await result(attempt, second)
    assert limiter.failures("a") == (first == "failed")


async def log_later(_event):
    raise AssertionError


@pytest.mark.parametrize("listener", [None, "log", log_later])
def test_a_listener_is_a_plain_function(listener):
    for make in (lambda: FailureLimiter(LockoutPolicy(), on_event=listener), lambda: Quota([], on_event=listener)):
        with pytest.raises(ConfigurationError, match="on_event must be a"):
            make()


def test_a_clock_is_a_function():
    makes = [
        lambda: FailureLimiter(LockoutPolicy(), clock=5.0),
        lambda: Quota([], clock=5.0),
        lambda: FailureDelay(clock=5.0),
    ]
    for make in makes:
        with pytest.raises(ConfigurationError, match="clock must be a function"):
            make()


def test_a_client_is_no_link():
    for make in (lambda: FailureLimiter(LockoutPolicy(), link=object()), lambda: Quota([], link=object())):
        with pytest.raises(ConfigurationError, match="link must be a ReplicationLink, not object"):
            make()


def test_one_policy_is_no_sequence_of_policies():
    with pytest.raises(PolicyError, match="put this one into a list"):
        Quota(QuotaPolicy("a", "requests", 1))


def test_a_delay_has_a_policy_of_its_own():
    with pytest.raises(ConfigurationError, match="policy must be a DelayPolicy"):
        FailureDelay(LockoutPolicy())


async def test_a_quota_that_is_exceeded_raises_with_what_to_do():
    quota = Quota([QuotaPolicy("login", "requests", 1)])
    async with quota.reserve({}):
        with pytest.raises(QuotaExceeded, match="no room under login; try again in") as caught:
            async with quota.reserve({}):
                raise AssertionError
    assert caught.value.retry_after > 0


def test_a_limiter_without_a_link_goes_on_in_a_second_event_loop():
    limiter = FailureLimiter(LockoutPolicy(max_attempts=2))
    assert [asyncio.run(limiter.record_failure("a")).allowed for _ in range(3)] == [True, True, False]
