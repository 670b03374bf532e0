"""Peers, keys and the cache. `test_spoofing` tests forged headers."""

import pytest

from gateway.access.client import ClientAddress, ClientResolver
from gateway.core.errors import ProxyAttributionRequired

PROXY = "10.0.0.7"
TRUSTED = ("10.0.0.0/24", "127.0.0.1", "2001:db8:ffff::/48")
FOR = "X-Forwarded-For"

EVIDENCE = [
    ("Forwarded", "for=203.0.113.9"),
    ("forwarded", ""),
    ("X-Real-IP", "203.0.113.9"),
    ("x-real-ip", "127.0.0.1"),
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-FORWARDED-FOR", "127.0.0.1"),
    ("X-Forwarded-For", ""),
    ("X-Forwarded-Host", "a.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-User", "alice"),
    ("X-Forwarded-Anything", "1"),
    ("Tailscale-User-Login", "alice@example.com"),
    ("tailscale-user-name", "Alice"),
]


@pytest.fixture
def resolver():
    return ClientResolver(TRUSTED)


@pytest.mark.parametrize("peer", ["203.0.113.7", "127.0.0.2", "::1", "10.0.1.7", "::ffff:203.0.113.7", None, ""])
def test_evidence_from_an_untrusted_peer_is_refused(resolver, headers, peer):
    for pair in EVIDENCE:
        with pytest.raises(ProxyAttributionRequired):
            resolver.resolve(peer, headers(("Host", "gateway"), pair))


@pytest.mark.parametrize("pair", EVIDENCE)
def test_without_trusted_proxies_any_evidence_is_refused_even_from_loopback(headers, pair):
    with pytest.raises(ProxyAttributionRequired):
        ClientResolver(()).resolve("127.0.0.1", headers(pair))


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("127.0.0.1", ClientAddress("127.0.0.1", True, False, "127.0.0.1", "127.0.0.1")),
        ("127.0.0.2", ClientAddress("127.0.0.2", True, False, "127.0.0.2")),
        ("::1", ClientAddress("::1", True, False, "::1")),
        ("::ffff:127.0.0.2", ClientAddress("127.0.0.2", True, False, "127.0.0.2")),
        ("::ffff:203.0.113.7", ClientAddress("203.0.113.7", False, False, "203.0.113.7")),
        ("2001:DB8::7", ClientAddress("2001:db8::7", False, False, "2001:db8::/64")),
        ("fe80::7%eth0", ClientAddress("fe80::7", False, False, "fe80::/64")),
        ("10.0.0.7", ClientAddress("10.0.0.7", False, False, "10.0.0.7", "10.0.0.7")),
        (None, ClientAddress("unknown", False, False, "unknown")),
        ("", ClientAddress("unknown", False, False, "unknown")),
    ],
)
def test_peers_are_folded_to_one_spelling(resolver, headers, peer, client):
    assert resolver.resolve(peer, headers()) == client


def test_one_ipv6_customer_has_one_key_behind_a_proxy_too(resolver, headers):
    keys = {resolver.resolve(PROXY, headers((FOR, f"2001:db8:0:1::{n:x}"))).key for n in range(1, 50)}
    assert keys == {"2001:db8:0:1::/64"}


def test_answers_do_not_depend_on_what_was_asked_before(resolver, headers):
    good, bad = headers((FOR, "203.0.113.5")), headers((FOR, "127.0.0.9"))
    for _ in range(3):
        assert resolver.resolve(PROXY, good).host == "203.0.113.5"
        assert resolver.resolve(PROXY, headers()).host == PROXY
        with pytest.raises(ProxyAttributionRequired):
            resolver.resolve(PROXY, bad)
        with pytest.raises(ProxyAttributionRequired):
            resolver.resolve("203.0.113.7", good)
