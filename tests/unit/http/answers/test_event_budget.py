import pytest

from gateway.http.answers.event_budget import EventBudget, EventLimits, EventsFull, OversizedRun

LIMITS = EventLimits(run=100, caller=150, total=250, overhead=0)


class Runs:
    """Runs by name; `cut` are the names of those that were cut off."""

    def __init__(self):
        self.now = 1000.0
        self.budget = EventBudget(LIMITS, retention=60, clock=lambda: self.now)
        self.cut = []
        self._runs = {}

    def grow(self, name, size, caller="a"):
        if name not in self._runs:
            self._runs[name] = self.budget.begin(name, caller, lambda _: self.cut.append(name))
        self.budget.grow(self._runs[name], size)

    def has_room(self, name):
        return self.budget.has_room(self._runs[name])

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


def test_logs_that_the_store_has_deleted_are_forgotten(runs):
    runs.grow("one", 100)
    runs.end("one")
    runs.now += 59
    runs.grow("two", 50)
    runs.end("two")
    runs.now += 1
    runs.grow("three", 100)  # with the first it would be too much
    assert (runs.cut, runs.budget.evicted) == ([], [])
    runs.now += 60
    runs.grow("four", 50)
    assert (runs.cut, runs.budget.evicted) == ([], [])
    assert not runs.budget._ended


def test_a_log_takes_more_than_its_events():
    budget = EventBudget(EventLimits(run=100, caller=1000, total=2000, overhead=90))
    for number in range(10):
        run = budget.begin(str(number), "a", lambda _: None)
        budget.grow(run, 5)
        budget.grow(run, 5)
        budget.end(run)
    assert budget.evicted == []
    budget.grow(budget.begin("last", "a", lambda _: None), 100)
    assert budget.evicted == ["0", "1"]


def test_a_run_that_ends_without_events_is_forgotten_at_once(runs):
    for name in ("one", "two"):
        runs.grow(name, 0)
        runs.end(name)
    assert not runs.budget._running
    assert not runs.budget._ended


def test_the_limits_follow_from_the_size_of_a_response():
    assert EventLimits.of(16 * 2**20) == EventLimits()


def test_a_run_may_not_grow_until_the_logs_that_made_room_are_deleted(runs):
    for name in ("ended", "large"):
        runs.grow(name, 70)
    runs.end("ended")
    runs.grow("small", 30)
    assert runs.budget.evicted == ["ended"]
    assert not runs.has_room("small")
    assert not runs.has_room("large")
    runs.budget.deleted("ended")
    assert runs.has_room("small")
    runs.grow("small", 40)
    assert runs.cut == []
    with pytest.raises(EventsFull):
        runs.grow("small", 20)  # it is the largest itself
    assert not runs.has_room("large")
    runs.end("small")  # after its log was deleted
    assert runs.has_room("large")


def test_another_callers_logs_hold_nobody_up_while_there_is_room_for_all(runs):
    runs.grow("one", 90)
    runs.grow("two", 61)
    assert runs.cut == ["one"]
    runs.grow("other", 50, caller="b")
    assert runs.has_room("other")
    runs.grow("other", 50, caller="b")
    assert not runs.has_room("other")  # 61, 100, and 90 of the log that is not deleted yet
    runs.end("one")
    assert runs.has_room("other")
