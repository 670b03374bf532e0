import pytest

from openclaw_ratelimit import LimitStatus, Locked, QuotaExceeded, QuotaPolicy, Refusal
from openclaw_ratelimit.headers import ratelimit_headers, retry_after

REQUESTS = QuotaPolicy("requests", "requests", 60)


def refusal(wait):
    return Refusal((LimitStatus(REQUESTS, 0, 3.5, 70.0, wait),))


@pytest.mark.parametrize(("wait", "seconds"), [(0.2, 1), (0.999, 1), (1.0, 2), (3.2, 4), (None, None)])
def test_retry_after_is_the_first_whole_second_with_room(wait, seconds):
    assert retry_after(refusal(wait)) == seconds
    assert retry_after(QuotaExceeded(refusal(wait))) == seconds


@pytest.mark.parametrize(("left", "seconds"), [(0.001, 1), (1.0, 1), (299.1, 300), (300.0, 300)])
def test_retry_after_of_a_lock_is_when_it_ends(left, seconds):
    assert retry_after(Locked(left)) == seconds


def test_an_answer_under_no_policy_has_no_headers():
    assert ratelimit_headers(()) == {}


def test_in_a_refusal_no_window_ends_after_the_time_to_come_back():
    assert ratelimit_headers(refusal(2.2).statuses, 3) == {
        "RateLimit-Policy": '"requests";q=60;w=60',
        "RateLimit": '"requests";r=0;t=3',
    }
