import pytest

from gateway.http.quota_headers import duration, quota_headers
from openclaw_ratelimit import LimitStatus, QuotaPolicy

REQUESTS = QuotaPolicy("identity-requests", "requests", 60)
TOKENS = QuotaPolicy("identity-tokens", "tokens", 90_000, 30)
RUNS = QuotaPolicy("all-runs", "runs", 4)


def test_every_policy_is_told_with_its_unit_and_what_is_left():
    headers = quota_headers(
        [
            LimitStatus(REQUESTS, 59, 41.5, 71.5, 0.0),
            LimitStatus(TOKENS, 0, 2.0, 0.25, 0.0),
            LimitStatus(RUNS, 3, 0.0, 0.5, 0.0),
        ]
    )
    assert headers == {
        "RateLimit-Policy": '"identity-requests";q=60;w=60, "identity-tokens";q=90000;w=30;qu="tokens", '
        '"all-runs";q=4;qu="concurrent-requests"',
        "RateLimit": '"identity-requests";r=59;t=42, "identity-tokens";r=0;t=2, "all-runs";r=3',
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1m12s",
        "x-ratelimit-limit-tokens": "90000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "250ms",
    }


def test_of_several_policies_with_one_unit_openais_headers_tell_the_nearest_to_its_end():
    wide = QuotaPolicy("all-requests", "requests", 1000)
    headers = quota_headers([LimitStatus(wide, 12, 10.0, 30.0, 0.0), LimitStatus(REQUESTS, 40, 10.0, 20.0, 0.0)])
    assert headers["x-ratelimit-limit-requests"] == "1000"
    assert headers["x-ratelimit-remaining-requests"] == "12"
    assert "x-ratelimit-limit-tokens" not in headers


def test_in_a_refusal_no_window_ends_after_the_time_to_come_back():
    headers = quota_headers([LimitStatus(REQUESTS, 0, 3.5, 70.0, 2.2), LimitStatus(TOKENS, 10, 29.0, 50.0, 0.0)], 3)
    assert headers["RateLimit"] == '"identity-requests";r=0;t=3, "identity-tokens";r=10;t=3'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0ms"), (0.0121, "13ms"), (1.0, "1s"), (1.2, "2s"), (60.0, "1m0s"), (359.2, "6m0s"), (7200.0, "120m0s")],
)
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text
