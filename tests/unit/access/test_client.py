from ipaddress import ip_address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access.address import may_be_client
from gateway.access.client import ClientAddress, ClientResolver
from gateway.core.errors import ProxyAttributionRequired

PROXY = "10.0.0.7"
TRUSTED = ("10.0.0.0/24", "127.0.0.1", "2001:db8:ffff::/48")
FOR = "X-Forwarded-For"
REAL = "X-Real-IP"

NO_EVIDENCE = [
    (),
    (("Via", "1.1 proxy"),),
    (("CF-Connecting-IP", "203.0.113.9"),),
    (("True-Client-IP", "203.0.113.9"),),
    (("X-Client-IP", "203.0.113.9"),),
    (("X-Forwarded", "203.0.113.9"),),
    (("X_Forwarded_For", "203.0.113.9"),),
    (("Forwarded-For", "203.0.113.9"),),
    (("Tailscale", "x"),),
    (("X-Stainless-Lang", "python"), ("TE", "trailers"), ("From", "a@example.com")),
]

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

ATTRIBUTED = [
    # (headers behind the trusted proxy, the client)
    ([(FOR, "203.0.113.5")], "203.0.113.5"),
    ([(FOR, "198.51.100.1, 203.0.113.5")], "203.0.113.5"),
    ([(FOR, "127.0.0.1, 203.0.113.5")], "203.0.113.5"),
    ([(FOR, "garbage, 203.0.113.5")], "203.0.113.5"),
    ([(FOR, "203.0.113.5, 127.0.0.1")], "203.0.113.5"),
    ([(FOR, "203.0.113.5, 10.0.0.9, 10.0.0.8")], "203.0.113.5"),
    ([(FOR, "198.51.100.1, 203.0.113.5, 10.0.0.9")], "203.0.113.5"),
    ([(FOR, "203.0.113.5:4711")], "203.0.113.5"),
    ([(FOR, "[2001:db8::1]:4711")], "2001:db8::1"),
    ([(FOR, "2001:db8::1")], "2001:db8::1"),
    ([(FOR, "::ffff:203.0.113.5")], "203.0.113.5"),
    ([(FOR, "203.0.113.5, ::ffff:10.0.0.9")], "203.0.113.5"),
    ([(FOR, "203.0.113.5, 2001:db8:ffff::2")], "203.0.113.5"),
    ([(FOR, "10.1.2.3")], "10.1.2.3"),
    ([(FOR, "192.168.1.5")], "192.168.1.5"),
    ([(FOR, "203.0.113.5,")], "203.0.113.5"),
    ([(FOR, " ,, 203.0.113.5 , ")], "203.0.113.5"),
    ([(FOR, "198.51.100.1"), (FOR, "203.0.113.5")], "203.0.113.5"),
    ([(FOR, "203.0.113.5"), (FOR, "10.0.0.9")], "203.0.113.5"),
    ([(FOR, "203.0.113.5"), ("Forwarded", "for=198.51.100.1")], "203.0.113.5"),
    ([(FOR, "203.0.113.5"), (REAL, "198.51.100.1")], "203.0.113.5"),
    ([(FOR, "1.1.1.1, " * 500 + "203.0.113.5")], "203.0.113.5"),
]

UNATTRIBUTED = [
    [(FOR, "")],
    [(FOR, " , ,")],
    [(FOR, "garbage")],
    [(FOR, "unknown")],
    [(FOR, "203.0.113.5, garbage")],
    [(FOR, "203.0.113.5, unknown, 10.0.0.9")],
    [(FOR, "203.0.113.5, unix:")],
    [(FOR, "127.0.0.1")],
    [(FOR, "203.0.113.5, 127.0.0.2")],
    [(FOR, "::1")],
    [(FOR, "::ffff:127.0.0.1")],
    [(FOR, "[::1]:80")],
    [(FOR, "0.0.0.0")],  # noqa: S104  # nothing is bound, it is what a header says
    [(FOR, "::")],
    [(FOR, "10.0.0.9")],
    [(FOR, "10.0.0.9, 10.0.0.8")],
    [("Forwarded", "for=203.0.113.5")],
    [(REAL, "203.0.113.5")],
    [("X-Forwarded-User", "alice")],
    [("X-Forwarded-Host", "203.0.113.5")],
    [("Tailscale-User-Login", "alice")],
]

REAL_IP_FALLBACK = [
    ([(REAL, "203.0.113.5")], "203.0.113.5"),
    ([(REAL, "203.0.113.5:80")], "203.0.113.5"),
    ([(REAL, "203.0.113.5"), (FOR, "")], "203.0.113.5"),
    ([(REAL, "203.0.113.5"), (FOR, "garbage")], "203.0.113.5"),
    ([(REAL, "203.0.113.5"), (FOR, "198.51.100.1")], "198.51.100.1"),
    ([(REAL, "203.0.113.5"), (FOR, "127.0.0.9")], None),
    ([(REAL, "127.0.0.1")], None),
    ([(REAL, "::ffff:127.0.0.1")], None),
    ([(REAL, "")], None),
    ([(REAL, "garbage")], None),
    ([(REAL, "203.0.113.5, 198.51.100.1")], None),
    ([(REAL, "203.0.113.5"), (REAL, "198.51.100.1")], None),
]


@pytest.fixture
def resolver():
    return ClientResolver(TRUSTED)


@pytest.mark.parametrize("pairs", NO_EVIDENCE)
def test_without_evidence_the_peer_is_the_client(resolver, headers, pairs):
    client = resolver.resolve("203.0.113.7", headers(*pairs))
    assert client == ClientAddress("203.0.113.7", loopback=False, forwarded=False, key="203.0.113.7", proxy=None)


@pytest.mark.parametrize("pair", EVIDENCE)
@pytest.mark.parametrize("peer", ["203.0.113.7", "127.0.0.2", "::1", "10.0.1.7", "::ffff:203.0.113.7", None, ""])
def test_evidence_from_an_untrusted_peer_is_refused(resolver, headers, peer, pair):
    with pytest.raises(ProxyAttributionRequired):
        resolver.resolve(peer, headers(("Host", "gateway"), pair))


@pytest.mark.parametrize("pair", EVIDENCE)
def test_without_trusted_proxies_any_evidence_is_refused_even_from_loopback(headers, pair):
    with pytest.raises(ProxyAttributionRequired):
        ClientResolver(()).resolve("127.0.0.1", headers(pair))


@pytest.mark.parametrize(("pairs", "client"), ATTRIBUTED)
def test_a_trusted_proxy_names_the_client(resolver, headers, pairs, client):
    found = resolver.resolve(PROXY, headers(*pairs))
    assert (found.host, found.forwarded, found.loopback, found.proxy) == (client, True, False, PROXY)


@pytest.mark.parametrize("pairs", UNATTRIBUTED)
@pytest.mark.parametrize("peer", [PROXY, "127.0.0.1"])
def test_a_trusted_proxy_that_names_no_usable_client_is_refused(resolver, headers, peer, pairs):
    with pytest.raises(ProxyAttributionRequired):
        resolver.resolve(peer, headers(*pairs))


@pytest.mark.parametrize(("pairs", "client"), REAL_IP_FALLBACK)
def test_real_ip_is_believed_only_when_configured_and_needed(headers, pairs, client):
    resolver = ClientResolver(TRUSTED, allow_real_ip_fallback=True)
    if client is None:
        with pytest.raises(ProxyAttributionRequired):
            resolver.resolve(PROXY, headers(*pairs))
    else:
        assert resolver.resolve(PROXY, headers(*pairs)).host == client


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


def request(*pairs):
    return CIMultiDictProxy(CIMultiDict(pairs))


@given(spoofed=st.text(st.characters(codec="latin-1"), max_size=80), client=st.ip_addresses(v=4))
def test_whatever_a_client_sends_the_proxy_appends_its_true_address(spoofed, client):
    assume(may_be_client(client) and not str(client).startswith("10.0.0."))
    chain = f"{spoofed}, {client}"
    assert ClientResolver(TRUSTED).resolve(PROXY, request((FOR, chain))).host == str(client)


@given(
    spoofed=st.lists(st.ip_addresses().map(str), max_size=4),
    client=st.ip_addresses(),
    hops=st.lists(st.integers(1, 254).map(lambda n: f"10.0.0.{n}"), max_size=4),
)
def test_the_client_is_the_last_hop_no_trusted_proxy_has(spoofed, client, hops):
    trusted = ("10.0.0.0/24",)
    client = ip_address(str(getattr(client, "ipv4_mapped", None) or client))
    assume(not str(client).startswith("10.0.0."))
    resolver = ClientResolver(trusted)
    chain = request((FOR, ", ".join([*spoofed, str(client), *hops])))
    if not may_be_client(client):
        with pytest.raises(ProxyAttributionRequired):
            resolver.resolve(PROXY, chain)
    else:
        assert resolver.resolve(PROXY, chain).host == str(client)


@given(pair=st.sampled_from(EVIDENCE), chain=st.text(st.characters(codec="latin-1"), max_size=40))
def test_no_header_makes_a_stranger_somebody_else(pair, chain):
    with pytest.raises(ProxyAttributionRequired):
        ClientResolver(TRUSTED, allow_real_ip_fallback=True).resolve("203.0.113.7", request(pair, (FOR, chain)))
