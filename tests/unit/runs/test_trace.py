from gateway.core.names import ModelRef
from gateway.runs.trace import RecentRuns, RunTrace

A = ModelRef("p", "a")


def test_a_run_that_goes_on_has_no_outcome_yet(time):
    trail = RunTrace("main", time)
    assert trail.answered is None
    trail.begin(A, "apiKey", 0.0)
    time.now += 1.5
    assert trail.answered == A
    attempt = {"model": "p/a", "key_id": "apiKey", "waited": 0.0, "seconds": None, "status": None, "outcome": None}
    assert trail.as_dict() == {"agent": "main", "outcome": None, "seconds": 1.5, "attempts": [attempt]}


def test_a_run_that_ended_keeps_its_times(time):
    trail = RunTrace("main", time)
    trail.begin(A, "apiKey", 0.0)
    time.now += 1.0
    trail.end("server_error", 500)
    time.now += 0.5
    trail.begin(A, "apiKey", 0.5)
    time.now += 2.0
    trail.end("answered", 200)
    trail.close("answered")
    time.now += 100.0
    fields = trail.as_dict()
    assert (fields["outcome"], fields["seconds"], trail.waited) == ("answered", 3.5, 0.5)
    assert [one["seconds"] for one in fields["attempts"]] == [1.0, 2.0]


def test_the_last_runs_are_kept_and_no_more(time):
    recent = RecentRuns(3)
    trails = [RunTrace("main", time) for _ in range(5)]
    for number, trail in enumerate(trails):
        recent.put(str(number), trail)
    assert [recent.get(str(number)) for number in range(5)] == [None, None, *trails[2:]]


def test_of_two_runs_with_one_id_the_later_one_counts(time):
    recent = RecentRuns(3)
    first, second = RunTrace("main", time), RunTrace("main", time)
    recent.put("a", first)
    recent.put("a", second)
    assert recent.get("a") is second
