import pytest

from gateway.state.steady_clock import SteadyClock


class Machine:
    """A monotonic clock, and a system clock that can step."""

    def __init__(self):
        self.up = 50.0
        self.offset = 1_700_000_000.0

    def clock(self):
        return SteadyClock(lambda: self.up + self.offset, lambda: self.up)


@pytest.fixture
def machine():
    return Machine()


@pytest.mark.parametrize("step", [20, -20, 86_400, -86_400, 400 * 86_400])
def test_a_step_changes_nothing_at_once(machine, step):
    clock = machine.clock()
    before = clock()
    machine.offset += step
    machine.up += 5
    assert clock() == before + 5


def test_a_clock_that_is_wrong_for_a_while_changes_nothing(machine):
    clock = machine.clock()
    before = clock()
    machine.offset += 400 * 86_400
    clock()
    machine.up += 599
    clock()
    machine.offset -= 400 * 86_400
    clock()
    machine.up += 10_000
    assert clock() == before + 10_599


def test_a_lasting_step_is_accepted_after_ten_minutes(machine):
    clock = machine.clock()
    before = clock()
    machine.offset += 3600
    clock()
    machine.up += 600
    assert clock() == before + 600 + 3600
    machine.up += 1
    assert clock() == before + 601 + 3600


def test_two_steps_are_not_added_up(machine):
    clock = machine.clock()
    before = clock()
    machine.offset += 3600
    clock()
    machine.up += 400
    machine.offset += 3600
    clock()
    machine.up += 400
    assert clock() == before + 800


def test_a_clock_that_drifts_is_followed(machine):
    clock = machine.clock()
    before = clock()
    for _ in range(100):
        machine.up += 60
        machine.offset += 0.03
        clock()
    assert clock() == pytest.approx(before + 6003)
