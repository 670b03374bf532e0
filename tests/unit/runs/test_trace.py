from gateway.core.names import ModelRef
from gateway.runs.trace import RecentRuns, RunTrace

A = ModelRef("p", "a")


def test_an_active_run_has_no_outcome(time):
    trace = RunTrace("main", time)
    assert trace.answered is None
    trace.begin(A, "apiKey", 0.0)
    time.now += 1.5
    assert trace.answered == A
    attempt = {"model": "p/a", "key_id": "apiKey", "waited": 0.0, "seconds": None, "status": None, "outcome": None}
    assert trace.as_dict() == {"agent": "main", "outcome": None, "seconds": 1.5, "attempts": [attempt]}


def test_a_run_that_ended_keeps_its_times(time):
    trace = RunTrace("main", time)
    trace.begin(A, "apiKey", 0.0)
    time.now += 1.0
    trace.end("server_error", 500)
    time.now += 0.5
    trace.begin(A, "apiKey", 0.5)
    time.now += 2.0
    trace.end("answered", 200)
    trace.close("answered")
    time.now += 100.0
    fields = trace.as_dict()
    assert (fields["outcome"], fields["seconds"], trace.waited) == ("answered", 3.5, 0.5)
    assert [one["seconds"] for one in fields["attempts"]] == [1.0, 2.0]


def test_only_the_last_traces_are_stored(time):
    recent = RecentRuns(3)
    traces = [RunTrace("main", time) for _ in range(5)]
    for number, trace in enumerate(traces):
        recent.put(None, str(number), trace)
    assert [recent.get(None, str(number)) for number in range(5)] == [None, None, *traces[2:]]


def test_of_two_runs_with_one_id_the_later_one_counts(time):
    recent = RecentRuns(3)
    first, second = RunTrace("main", time), RunTrace("main", time)
    recent.put(None, "a", first)
    recent.put(None, "a", second)
    assert recent.get(None, "a") is second


def test_a_run_of_another_user_with_the_same_id_stays(time):
    recent = RecentRuns(3)
    alice, bob = RunTrace("main", time), RunTrace("main", time)
    recent.put("alice", "a", alice)
    recent.put("bob", "a", bob)
    assert (recent.get("alice", "a"), recent.get("bob", "a"), recent.get("eve", "a")) == (alice, bob, None)
    assert recent.get("alice", "a", everybody=True) is alice
    assert recent.get("root", "a", everybody=True) is bob
