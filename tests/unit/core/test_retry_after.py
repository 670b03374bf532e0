import pytest

from gateway.core.retry_after import retry_after_seconds


@pytest.mark.parametrize(
    ("wait", "seconds"), [(-3.0, 1), (0.0, 1), (0.2, 1), (0.999, 1), (1.0, 1), (1.001, 2), (60.0, 60)]
)
def test_retry_after_is_whole_seconds_rounded_up_and_at_least_one(wait, seconds):
    assert retry_after_seconds(wait) == seconds
