from gateway.core.names import ModelRef
from gateway.runs.trace import RunTrace

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
