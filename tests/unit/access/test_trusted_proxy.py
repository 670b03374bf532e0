from dataclasses import replace

import pytest

from gateway.access.client import ClientResolver
from gateway.access.origin import OriginPolicy
from gateway.access.outcome import Authenticated, Rejected
from gateway.access.scopes import ScopePolicy
from gateway.access.shared_secret import SharedSecret
from gateway.access.trusted_proxy import ProxyRules, TrustedProxy
from gateway.core.errors import ProxyAttributionRequired
from gateway.core.identity import ALL_SCOPES, OWNER

RULES = ProxyRules(
    user_header="x-forwarded-user",
    required_headers=("x-proxy-secret",),
    allow_users=("alice@example.com", "Bob"),
    allow_loopback=True,
)
OPEN_RULES = ProxyRules(user_header="X-Auth-User", allow_loopback=True)
PASSWORD = "password-0123456789"
FOR = ("X-Forwarded-For", "203.0.113.5")
USER = ("X-Forwarded-User", "alice@example.com")
SECRET = ("x-proxy-secret", "s")
REFUSED = Rejected("refused")


@pytest.fixture
def ask(headers):
    """Resolves and authenticates one request."""

    def ask(*pairs, peer="127.0.0.1", rules=RULES, password=PASSWORD, own=(), origins=(), identity_scopes=None):
        request = headers(*pairs)
        mode = TrustedProxy(
            rules,
            OriginPolicy(origins),
            ScopePolicy(identity_scopes),
            SharedSecret("password", password) if password else None,
            own_address=lambda host: host in own,
        )
        return mode.authenticate(ClientResolver(("127.0.0.1", "10.0.0.0/8")).resolve(peer, request), request)

    return ask


@pytest.mark.parametrize(
    ("pairs", "name"),
    [
        ((FOR, USER, SECRET), "alice@example.com"),
        ((("X-Forwarded-For", "198.51.100.1, 203.0.113.5"), USER, SECRET), "alice@example.com"),
        ((FOR, ("x-forwarded-user", "Bob"), SECRET), "Bob"),
        ((FOR, ("X-FORWARDED-USER", "  Bob "), ("X-Proxy-Secret", "s")), "Bob"),
        ((FOR, USER, SECRET, ("Authorization", "Bearer wrong")), "alice@example.com"),
    ],
)
def test_the_proxys_header_names_the_caller(ask, pairs, name):
    outcome = ask(*pairs)
    assert isinstance(outcome, Authenticated)
    assert (outcome.principal.name, outcome.principal.scopes, outcome.credential) == (name, ALL_SCOPES, None)
    assert outcome.principal.owner
    assert not outcome.principal.shared_secret


@pytest.mark.parametrize(
    "pairs",
    [
        (FOR, USER),
        (FOR, USER, ("x-proxy-secret", " ")),
        (FOR, SECRET),
        (FOR, SECRET, ("X-Forwarded-User", "  ")),
        (FOR, SECRET, ("X-Forwarded-User", "mallory@example.com")),
        (FOR, SECRET, ("X-Forwarded-User", "Alice@Example.com")),
        (FOR, SECRET, ("X-Forwarded-User", "bob")),
        (FOR, SECRET, ("X-Forwarded-User", "mallory@example.com"), USER),
        (FOR, SECRET, USER, ("X-Forwarded-User", "mallory@example.com")),
        (FOR, SECRET, USER, ("x-forwarded-user", "")),
        (FOR, SECRET, USER, USER),
        (FOR, USER, SECRET, ("Origin", "https://evil.example.com")),
        (FOR, USER, SECRET, ("Origin", "http://localhost:3000")),
        (FOR, ("Authorization", f"Bearer {PASSWORD}")),
    ],
)
def test_every_other_identity_is_refused_and_never_counted(ask, pairs):
    assert ask(*pairs) == REFUSED


@pytest.mark.parametrize(
    ("pairs", "how", "why"),
    [
        ((), {"peer": "203.0.113.7"}, "the peer is not in gateway.trustedProxies"),
        ((FOR, USER, SECRET), {"rules": replace(RULES, allow_loopback=False)}, "trustedProxy.allowLoopback"),
        ((FOR, USER, SECRET), {"peer": "10.0.0.7", "own": ("10.0.0.7",)}, "one of this machine's own"),
        ((FOR, USER), {}, "the required header x-proxy-secret is missing or blank"),
        ((FOR, USER, ("x-proxy-secret", " ")), {}, "the required header x-proxy-secret is missing or blank"),
        ((FOR, SECRET), {}, "the user header is missing, blank or sent twice"),
        ((FOR, SECRET, USER, USER), {}, "the user header is missing, blank or sent twice"),
        ((FOR, SECRET, (USER[0], "j\udcfcrgen")), {}, "the user header is not UTF-8"),
        ((FOR, SECRET, ("X-Forwarded-User", "mallory")), {}, "the user is not in trustedProxy.allowUsers"),
        ((FOR, SECRET, USER, ("Origin", "https://evil.example.com")), {}, "gateway.controlUi.allowedOrigins"),
    ],
)
def test_a_refusal_names_its_rule_for_the_operator(ask, pairs, how, why):
    outcome = ask(*pairs, password=None, **how)
    assert isinstance(outcome, Rejected)
    assert why in outcome.why
    assert "mallory" not in outcome.why


def test_one_of_several_required_values_is_enough(ask):
    assert isinstance(ask(FOR, USER, ("x-proxy-secret", " "), SECRET), Authenticated)


@pytest.mark.parametrize(
    "pairs",
    [
        (USER, SECRET),
        (USER, SECRET, ("Forwarded", "for=203.0.113.5")),
        (USER, SECRET, ("X-Real-IP", "203.0.113.5")),
        (USER, SECRET, ("X-Forwarded-For", "")),
        (("Authorization", f"Bearer {PASSWORD}"), ("X-Forwarded-For", "127.0.0.1")),
        (("Authorization", f"Bearer {PASSWORD}"), USER),
    ],
)
def test_without_attribution_the_identity_is_not_checked(ask, pairs):
    with pytest.raises(ProxyAttributionRequired):
        ask(*pairs)


def test_an_allowed_origin_passes(ask):
    outcome = ask(FOR, USER, SECRET, ("Origin", "https://ok.example.com"), origins=["https://ok.example.com"])
    assert isinstance(outcome, Authenticated)


def test_without_allow_users_every_user_is_allowed(ask):
    outcome = ask(FOR, ("X-Auth-User", "zed"), rules=OPEN_RULES)
    assert isinstance(outcome, Authenticated)
    assert outcome.principal.name == "zed"


def test_a_trusted_peer_may_vouch_without_a_forwarded_chain(ask):
    outcome = ask(("X-Auth-User", "zed"), rules=OPEN_RULES, peer="10.0.0.7")
    assert isinstance(outcome, Authenticated)


def test_an_untrusted_peer_can_not_name_its_user(ask):
    assert ask(("X-Auth-User", "zed"), rules=OPEN_RULES, peer="203.0.113.7") == REFUSED
    assert ask(("X-Auth-User", "zed"), rules=OPEN_RULES, peer=None) == REFUSED


def test_a_loopback_proxy_must_be_allowed(ask):
    rules = replace(RULES, allow_loopback=False)
    assert ask(FOR, USER, SECRET, rules=rules) == REFUSED
    assert isinstance(ask(FOR, USER, SECRET, rules=rules, peer="10.0.0.7"), Authenticated)


def test_an_own_address_of_this_machine_is_no_proxy(ask):
    assert ask(FOR, USER, SECRET, peer="10.0.0.7", own=("10.0.0.7",)) == REFUSED
    assert isinstance(ask(FOR, USER, SECRET, peer="10.0.0.8", own=("10.0.0.7",)), Authenticated)


@pytest.mark.parametrize("host", ["localhost", "gw.example.com"])
def test_the_password_lets_direct_loopback_callers_in_as_owner(ask, host):
    outcome = ask(("Authorization", f"Bearer {PASSWORD}"), ("Host", host), ("x-openclaw-scopes", ""))
    assert outcome == Authenticated(OWNER, "password")


def test_a_wrong_fallback_password_is_counted(ask):
    assert ask(("Authorization", "Bearer bad")) == Rejected("wrong", "password")


def test_the_password_works_on_loopback_only(ask):
    assert ask(("Authorization", f"Bearer {PASSWORD}"), peer="203.0.113.7") == REFUSED
    assert ask(("Authorization", f"Bearer {PASSWORD}"), peer="10.0.0.7") == REFUSED
    assert ask(("Authorization", f"Bearer {PASSWORD}"), FOR) == REFUSED


def test_without_a_password_there_is_no_fallback(ask):
    assert ask(("Authorization", f"Bearer {PASSWORD}"), password=None) == REFUSED


def test_declared_scopes_narrow_and_identity_scopes_hold(ask):
    narrowed = ask(FOR, USER, SECRET, ("x-openclaw-scopes", "operator.write"))
    assert isinstance(narrowed, Authenticated)
    assert (narrowed.principal.scopes, narrowed.principal.owner) == ({"operator.write"}, False)
    authenticated = ask(FOR, USER, SECRET, identity_scopes={"alice@example.com": frozenset({"operator.read"})})
    assert isinstance(authenticated, Authenticated)
    assert authenticated.principal.scopes == {"operator.read"}
