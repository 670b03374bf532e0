import pytest

from gateway.access.open import OpenAccess
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Rejected
from gateway.access.scopes import ScopePolicy
from gateway.core.identity import ALL_SCOPES, Principal

ANYBODY = Principal(name=None, scopes=ALL_SCOPES, owner=True, shared_secret=False)


@pytest.fixture
def authenticate(headers, direct):
    access = OpenAccess(OriginPolicy(["https://ok.example.com"]), ScopePolicy())
    return lambda peer, *pairs: access.authenticate(direct(peer), headers(*pairs))


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("Authorization", "Bearer whatever"),),
        (("Sec-Fetch-Site", "cross-site"),),
        (("Origin", "https://ok.example.com"),),
        (("Origin", "http://localhost:5173"),),
    ],
)
def test_every_caller_is_accepted(authenticate, pairs):
    assert authenticate("127.0.0.1", *pairs) == Authenticated(ANYBODY)


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null"])
def test_origins_that_are_not_allowed_are_refused(authenticate, origin):
    assert authenticate("127.0.0.1", ("Origin", origin)) == Rejected("refused")


def test_a_loopback_origin_does_not_help_a_caller_from_elsewhere(authenticate):
    assert authenticate("203.0.113.7", ("Origin", "http://localhost:5173")) == Rejected("refused")


def test_declared_scopes_count(authenticate):
    outcome = authenticate("127.0.0.1", ("x-openclaw-scopes", "operator.read"))
    assert isinstance(outcome, Authenticated)
    assert outcome.principal.scopes == {"operator.read"}
