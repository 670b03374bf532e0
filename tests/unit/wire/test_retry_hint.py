import pytest

from gateway.wire.retry_hint import retry_hint

PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20ms. Visit https://acme.example/limits", 0.02),
        ("Please try again in 1.5s.", 1.5),
        ("Please try again in 1m32.3s.", 92.3),
        ("Please try again in 6h0m0s", 21_600.0),
        ("Please retry after 90 seconds.", 90.0),
        ("Retry after 1 minute 30 seconds", 90.0),
        ("Please wait 2 minutes before the next request", 120.0),
        ("Please retry in 45.25s", 45.25),
        ("Retry in 500 milliseconds", 0.5),
        ("try again in 9 days, or pay", 86_400.0),
        ("try again later", None),
        ("try again in 5 stores", None),
        ("Limit 30000, Used 29000, Requested 4000", None),
        ("I waited 5 seconds", None),
        (None, None),
    ],
)
def test_a_time_to_wait_is_read_from_words(text, seconds):
    assert retry_hint({}, text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"retry_after": 30}, 30.0),
        ({"retry_after": 0.5}, 0.5),
        ({"retry_after": True}, None),
        ({"retry_after": -1}, None),
        ({"retry_after": float("nan")}, None),
        ({"retry_after": float("inf")}, 86_400.0),
        ({"retry_after": 10**400}, 86_400.0),
        ({"retry_after": "30"}, None),
        ({"details": [{"retryDelay": "37s"}]}, 37.0),
        ({"details": [{"retryDelay": "0.5s"}, "odd"]}, 0.5),
        ({"details": [{"retryDelay": "soon"}]}, None),
        ({"details": "odd"}, None),
        ({"details": [PER_DAY]}, 3600.0),
        ({"details": [PER_DAY, {"retryDelay": "37s"}]}, 3600.0),
        ({"details": [{"violations": ["odd", {"quotaId": 5}]}, {"violations": 5}]}, None),
    ],
)
def test_a_time_to_wait_is_read_from_fields(fields, seconds):
    assert retry_hint(fields, "no") == seconds
