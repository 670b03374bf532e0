import pytest

from openclaw_ratelimit import DelayPolicy, FailureDelay


@pytest.fixture
def delay(clock):
    return FailureDelay(clock=clock)


def test_the_delay_doubles_up_to_the_cap(delay):
    assert [delay.next("a") for _ in range(8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_failures_that_left_the_window_do_not_count(delay, clock):
    delay.next("a")
    clock.advance(30.0)
    delay.next("a")
    clock.advance(30.0)
    assert delay.next("a") == 0.5
    clock.advance(60.0)
    assert delay.next("a") == 0.25


def test_a_success_starts_over(delay):
    delay.next("a")
    assert delay.has_failures("a")
    delay.reset("a")
    assert not delay.has_failures("a")
    assert delay.next("a") == 0.25


def test_keys_are_delayed_apart(delay):
    delay.next("127.0.0.1")
    assert delay.next("127.0.0.2") == 0.25


def test_a_cap_below_the_first_delay_is_the_delay(clock):
    delay = FailureDelay(DelayPolicy(first=1.0, cap=0.5), clock=clock)
    assert [delay.next("a"), delay.next("a")] == [0.5, 0.5]


def test_the_key_that_failed_longest_ago_makes_room(clock):
    delay = FailureDelay(clock=clock, capacity=2)
    for key in ("a", "b", "a", "c"):
        delay.next(key)
    assert not delay.has_failures("b")
    assert delay.has_failures("a")
