import pytest

from gateway.http.answers.event_budget import EventBudget, EventLimits, EventsFull, OversizedRun

LIMITS = EventLimits(run=100, caller=150, total=250)


class Runs:
    """Runs by name; `cut` are the names of those that were cut off."""

    def __init__(self):
        self.budget = EventBudget(LIMITS)
        self.cut = []
        self._runs = {}

    def grow(self, name, size, caller="a"):
        if name not in self._runs:
            self._runs[name] = self.budget.begin(name, caller, lambda _: self.cut.append(name))
        self.budget.grow(self._runs[name], size)

    def end(self, name):
        self.budget.end(self._runs[name])


@pytest.fixture
def runs():
    return Runs()


def test_a_run_above_the_limit_of_one_response_is_cut_off(runs):
    runs.grow("one", 100)
    with pytest.raises(OversizedRun):
        runs.grow("one", 1)
    for name in ("two", "three"):
        runs.grow(name, 75)  # the bytes of the first are free again
    assert runs.cut == []


def test_the_log_that_ended_first_makes_room(runs):
    for name in ("one", "two"):
        runs.grow(name, 60)
    runs.end("two")
    runs.end("one")
    runs.grow("three", 60)
    assert runs.budget.evicted == ["two"]
    runs.grow("three", 40)
    assert runs.budget.evicted == ["two", "one"]
    assert runs.cut == []


def test_if_none_has_ended_the_callers_largest_run_is_cut_off(runs):
    runs.grow("large", 90)
    runs.grow("other", 80, caller="b")
    runs.grow("small", 20)
    runs.grow("small", 41)
    assert runs.cut == ["large"]
    runs.grow("large", 50)  # on its way to its end
    runs.grow("small", 30)
    assert runs.cut == ["large"]


def test_the_largest_run_itself_gets_the_error(runs):
    runs.grow("small", 60)
    with pytest.raises(EventsFull) as raised:
        runs.grow("large", 95)
    assert raised.value.status == 503
    assert raised.value.headers == {"Retry-After": "60"}
    assert runs.cut == []


def test_all_callers_together_have_a_limit(runs):
    for caller in "abc":
        runs.grow(f"of {caller}", 80, caller=caller)
    runs.grow("more", 20, caller="d")
    assert runs.cut == ["of a"]


def test_the_limits_follow_from_the_size_of_a_response():
    assert EventLimits.of(16 * 2**20) == EventLimits()
