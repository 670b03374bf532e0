import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.throttle import Throttle


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_first_line_is_written_and_the_next_ones_counted(clock):
    throttle = Throttle(clock)
    assert throttle.admit("a") == 0
    assert [throttle.admit("a") for _ in range(3)] == [None] * 3
    clock.now += 9.9
    assert throttle.admit("a") is None
    clock.now += 0.2
    assert throttle.admit("a") == 4
    assert throttle.admit("a") is None


def test_one_noisy_key_does_not_hide_another(clock):
    throttle = Throttle(clock)
    for _ in range(10_000):
        throttle.admit("noisy")
    assert throttle.admit("quiet") == 9_999


def test_many_keys_share_one_bound(clock):
    throttle = Throttle(clock)
    written = [number for number in range(10_000) if throttle.admit(str(number)) is not None]
    assert written == list(range(50))
    clock.now += 3
    assert [throttle.admit(f"later {number}") for number in range(5)] == [9_950, 0, 0, None, None]


def test_every_key_has_its_own_pause(clock):
    throttle = Throttle(clock)
    answers = []
    for _ in range(12):
        answers.append((throttle.admit("a"), throttle.admit("b") if clock.now > 1004 else None))
        clock.now += 1
    assert [step for step, (a, _) in enumerate(answers) if a is not None] == [0, 10]
    assert [step for step, (_, b) in enumerate(answers) if b is not None] == [5]


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2000)), max_size=400))
def test_no_rhythm_writes_more_than_a_line_a_second_beyond_the_burst(steps):
    clock = Clock()
    throttle = Throttle(clock)
    begin = clock.now
    lines = 0
    left_out = 0
    for pause, key in steps:
        clock.now += pause
        answer = throttle.admit(str(key))
        if answer is None:
            left_out += 1
        else:
            assert answer == left_out
            left_out = 0
            lines += 1
            assert lines <= 50 + (clock.now - begin) + 1
