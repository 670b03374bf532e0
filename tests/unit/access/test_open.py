import pytest

from gateway.access.host import HostPolicy
from gateway.access.open import OpenAccess
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Rejected
from gateway.access.scopes import ScopePolicy
from gateway.core.identity import ALL_SCOPES, Principal

ANYBODY = Principal(name=None, scopes=ALL_SCOPES, owner=True, shared_secret=False)


@pytest.fixture
def authenticate(headers, direct):
    origins = ["https://ok.example.com", "http://gpu.lan:8080"]
    access = OpenAccess(OriginPolicy(origins), HostPolicy(origins), ScopePolicy())

    def ask(peer, *pairs, host="127.0.0.1:18789"):
        hosts = () if host is None else (("Host", host),)
        return access.authenticate(direct(peer), headers(*hosts, *pairs))

    return ask


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("Authorization", "Bearer whatever"),),
        (("Sec-Fetch-Site", "none"),),
        (("Sec-Fetch-Site", "same-origin"),),
        (("Sec-Fetch-Site", "cross-site"), ("Origin", "https://ok.example.com")),
        (("Origin", "https://ok.example.com"),),
        (("Origin", "http://localhost:5173"),),
    ],
)
def test_every_caller_of_this_machine_is_accepted(authenticate, pairs):
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


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:18789", "localhost.", "127.0.0.1", "127.8.8.8:1", "[::1]:18789", "[::ffff:127.0.0.1]",
     "ok.example.com", "ok.example.com:18789", "gpu.lan:18789"],
)  # fmt: skip
def test_a_host_of_this_machine_or_of_an_allowed_origin_is_answered(authenticate, host):
    assert authenticate("127.0.0.1", host=host) == Authenticated(ANYBODY)


@pytest.mark.parametrize(
    "host",
    ["evil.example:18789", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:127.0.0.1", "192.0.2.1",
     "localhost:18789, evil.example", "user@localhost", "0x7f.1", "[::1", "", None],
)  # fmt: skip
def test_a_page_reaches_nothing_through_a_name_that_it_lets_resolve_to_this_machine(authenticate, host):
    assert authenticate("127.0.0.1", host=host) == Rejected("refused")


def test_a_request_that_another_site_makes_without_an_origin_is_refused(authenticate):
    assert authenticate("127.0.0.1", ("Sec-Fetch-Site", "cross-site")) == Rejected("refused")


def test_a_policy_that_allows_all_origins_allows_all_hosts(headers):
    assert HostPolicy(["*"]).allows(headers(("Host", "evil.example")))
