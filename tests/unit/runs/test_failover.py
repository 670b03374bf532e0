import pytest

from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate
from gateway.runs.failover import RULES, SHARED_KINDS, Cooldown, Cursor, Retry, another_model_may_answer
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

Kind = UpstreamKind


def candidate(model, key="1"):
    return Candidate(ModelRef("p", model), Provider("p", "http://p/v1", key_id=key), ModelSpec(model))


A1, A2, B1 = candidate("a"), candidate("a", "2"), candidate("b")


def test_every_kind_of_failure_has_a_rule():
    assert set(RULES) == set(Kind)


def test_local_failures_and_refused_keys_are_not_shared():
    own = {Kind.CONNECT, Kind.CONNECT_TIMEOUT, Kind.TLS, Kind.LOCAL, Kind.AUTH, Kind.BILLING}
    assert own.isdisjoint(SHARED_KINDS)


def test_a_fault_of_the_request_ends_cooldowns_and_counts_against_nobody():
    for kind in (Kind.INVALID_REQUEST, Kind.CONTENT_FILTER, Kind.CONTEXT_OVERFLOW, Kind.NOT_FOUND, Kind.TOO_LARGE):
        assert RULES[kind].cooldown is Cooldown.ENDS
        assert RULES[kind].retry is Retry.NEVER


@pytest.mark.parametrize(
    ("kind", "other"),
    [(Kind.CONTENT_FILTER, False), (Kind.INVALID_REQUEST, False), (Kind.CONTEXT_OVERFLOW, True), (Kind.UNUSABLE, True)],
)
def test_only_a_fault_of_the_request_prevents_other_models(kind, other):
    assert another_model_may_answer(UpstreamError(kind, "x")) is other


def test_a_cursor_moves_without_changing():
    cursor = Cursor((A1, A2, B1))
    assert cursor.current is A1
    assert cursor.has_other_key
    assert cursor.without_key().remaining == (A2, B1)
    assert cursor.without_model().remaining == (B1,)
    assert cursor.moved_to(B1).remaining == (B1, A1, A2)
    assert cursor.moved_to(A1) is cursor
    assert cursor.remaining == (A1, A2, B1)


def test_another_key_of_the_same_model_comes_before_another_model():
    cursor = Cursor((A1, B1, A2))
    assert cursor.without_key().remaining == (A2, B1)
    assert not Cursor((A1, B1)).has_other_key


def test_a_retry_counts_for_its_candidate_only():
    cursor = Cursor((A1, B1)).retried(2.0, counted=True).retried(1.0, counted=False)
    assert (cursor.retries, cursor.hinted) == (1, 3.0)
    assert (cursor.without_model().retries, cursor.without_model().hinted) == (0, 0.0)


def test_a_stalled_candidate_is_asked_once_more_after_all_others():
    once = Cursor((A1, A2, B1)).last_again()
    assert once.remaining == (B1, A1)
    assert once.without_model().last_again().remaining == ()
