"""The last runs of a process: bounded, by user and request id, without the objects of runs that have ended."""

import gc

import pytest

from gateway.core.names import ModelRef
from gateway.runs.attempt import ANSWERED
from gateway.runs.recent_runs import RecentRuns
from gateway.runs.run_record import ToolUse
from gateway.runs.trace import Origin, RunFinished, RunTrace


@pytest.fixture
def recent():
    return RecentRuns(3)


@pytest.fixture
def add(recent, time):
    def begin(request_id, user=None, agent="main"):
        trace = RunTrace(agent, time, origin=Origin(request_id, user=user))
        recent.put(trace)
        return trace

    return begin


def close(recent, trace):
    trace.close(ANSWERED)
    recent.ended(RunFinished(trace, None, "", ANSWERED, failed=False))


def test_only_the_last_runs_are_stored(recent, add):
    for number in range(5):
        add(str(number), agent=f"agent-{number}")
    shown = [recent.get(None, str(number)) for number in range(5)]
    assert [run and run.agent for run in shown] == [None, None, "agent-2", "agent-3", "agent-4"]


def test_a_run_that_replaces_an_earlier_one_is_as_recent_as_it_is(recent, add):
    for request_id in ("a", "b", "c", "a", "d"):
        add(request_id)
    assert [request_id for request_id in "abcd" if recent.get(None, request_id)] == ["a", "c", "d"]


def test_of_two_runs_with_one_id_the_later_one_counts(recent, add):
    first, second = add("a", agent="first"), add("a", agent="second")
    close(recent, first)
    assert recent.get(None, "a").agent == "second"
    close(recent, second)
    assert (recent.get(None, "a").agent, recent.get(None, "a").outcome) == ("second", ANSWERED)


def test_a_run_of_another_user_with_the_same_id_stays(recent, add):
    close(recent, add("a", "alice", agent="alices"))
    add("a", "bob", agent="bobs")
    assert (recent.get("alice", "a").agent, recent.get("bob", "a").agent) == ("alices", "bobs")
    assert recent.get("eve", "a") is None
    assert recent.get("alice", "a", everybody=True).agent == "alices"
    assert recent.get("root", "a", everybody=True).agent == "bobs"


def test_a_run_that_was_not_added_is_ignored_at_its_end(recent, time):
    close(recent, RunTrace("main", time, origin=Origin("a")))
    assert recent.get(None, "a") is None


def test_the_end_of_a_run_changes_nothing_but_how_it_is_held(recent, add, time):
    trace = add("a")
    trace.begin(ModelRef("p", "a"), "apiKey", 0.25)
    time.now += 1.5
    trace.end("server_error", 500, "it broke")
    trace.ran(ToolUse("search", 0.5, ANSWERED))
    trace.begin(ModelRef("p", "b/c"), "apiKey", 0.0)
    time.now += 1.0
    trace.end(ANSWERED, 200)
    trace.close(ANSWERED)
    before = recent.get(None, "a").as_dict()
    close(recent, trace)
    time.now += 9.0
    assert recent.get(None, "a").as_dict() == before
    assert [one["model"] for one in before["attempts"]] == ["p/a", "p/b/c"]
    assert before["attempts"][0]["reason"] == "it broke"


def test_a_run_that_has_ended_is_not_referenced(recent, add):
    trace = add("a")
    assert any(trace is held for held in gc.get_referents(recent._runs))
    close(recent, trace)
    assert not any(trace is held for held in gc.get_referents(recent._runs))
