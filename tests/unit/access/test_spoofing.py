"""For any forged header, the gateway counts the right address or returns the 403."""

import re
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access.client import ClientResolver
from gateway.core.errors import ProxyAttributionRequired
from tests.forwarded import CASES, DECOYS, PEER, TRUSTED, spelled

PROXY = "127.9.0.1"
STRANGER = "127.0.0.2"
SEEN = [(number, case) for number, case in enumerate(CASES) if case.status is None]


def request(*pairs):
    return CIMultiDictProxy(CIMultiDict(pairs))


def sent(number, case):
    pairs = []
    for line in case.lines:
        name, _, value = spelled(line, number).partition(":")
        pairs.append((name, value.strip(" \t")))
    return request(*pairs)


def attributed(resolver, peer, headers):
    try:
        return resolver.resolve(peer, headers)
    except ProxyAttributionRequired:
        return None


def test_a_trusted_proxys_request_has_the_one_right_address():
    for number, case in SEEN:
        resolved = attributed(ClientResolver(TRUSTED, case.fallback), PROXY, sent(number, case))
        if case.client is None:
            assert resolved is None, (number, case)
        elif case.client == PEER:
            assert (resolved.host, resolved.forwarded, resolved.proxy) == (PROXY, False, PROXY), (number, case)
        else:
            right = (spelled(case.client, number), True, PROXY)
            assert (resolved.host, resolved.forwarded, resolved.proxy) == right, (number, case)
            assert resolved.host not in DECOYS, (number, case)


@pytest.mark.parametrize("peer", [STRANGER, "203.0.113.7", "2001:db8::7", "::ffff:10.9.1.9", None])
def test_an_untrusted_peer_is_the_client_or_refused(peer):
    resolver = ClientResolver(TRUSTED, allow_real_ip_fallback=True)
    for number, case in SEEN:
        resolved = attributed(resolver, peer, sent(number, case))
        right = resolver.resolve(peer, request()) if case.client == PEER else None
        assert resolved == right, (number, case)


# The same rules in other words: no code of the gateway, no `ipaddress`, numbers instead of networks.


def number_of(text):
    """An address as a number, IPv4 as its mapped IPv6. None for any other text."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
    except (OSError, ValueError, UnicodeError):
        pass
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text) or re.search(r"(^|\.)0[0-9]", text):
        return None
    parts = [int(part) for part in text.split(".")]
    return (0xFFFF << 32) + int.from_bytes(bytes(parts), "big") if max(parts) < 256 else None


def read(hop):
    if match := re.fullmatch(r"\[([^\]]*)\](?::[0-9]+)?", hop) or re.fullmatch(r"([^:]*):[0-9]+", hop):
        hop = match[1]
    if match := re.fullmatch(r"([^%]*:[^%]*)%.*", hop, re.DOTALL):
        hop = match[1]
    return number_of(hop)


RANGES = [("::ffff:127.9.0.0", 112), ("::ffff:10.9.0.0", 120), ("2001:db8:ffff::", 48)]


def within(value, network, bits):
    return value >> (128 - bits) == number_of(network) >> (128 - bits)


def expected(chain, real_ip, fallback):
    """The number of the client's address behind a trusted proxy, None for the 403."""
    client = None
    for element in reversed(chain.split(",")):
        if hop := element.strip(" \t"):
            client = read(hop)
            if client is None or not any(within(client, *trusted) for trusted in RANGES):
                break
            client = None
    if client is None and fallback:
        client = read(real_ip.strip(" \t"))
    unfit = [("::1", 128), ("::", 128), ("::ffff:0.0.0.0", 128), ("::ffff:255.255.255.255", 128)]
    unfit += [("::ffff:127.0.0.0", 104), ("::ffff:224.0.0.0", 100), ("ff00::", 8)]
    return None if client is None or any(within(client, *network) for network in unfit) else client


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}"),
    st.sampled_from(["10.9.0.9", "127.9.3.4", "2001:db8:ffff::9", "::ffff:10.9.0.1", "127.0.0.1", "::1", "::"]),
)
HOPS = st.one_of(
    ADDRESSES,
    ADDRESSES.map(lambda address: f"[{address}]:443"),
    ADDRESSES.map(lambda address: f"{address}:80"),
    ADDRESSES.map(lambda address: f"{address}%eth0"),
    ADDRESSES.map(lambda address: f"\t {address} "),
    st.sampled_from(["", " ", "unknown", "_hidden", "1.2.3", "01.2.3.4", "[", "]", "%", ":", "::%", "1.2.3.4%1"]),
    st.text(st.sampled_from("0123456789abcdef.:[]% \t\N{FULLWIDTH DIGIT ONE}\xa0\udcff"), max_size=12),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
CHAINS = st.lists(HOPS, max_size=5).map(",".join)


@given(chains=st.lists(CHAINS, min_size=1, max_size=3), real_ip=HOPS, fallback=st.booleans())
@example(chains=["1.2.3.4%"], real_ip="", fallback=False)
@example(chains=["::%:80"], real_ip="", fallback=False)
def test_every_chain_is_read_as_the_rules_say(chains, real_ip, fallback):
    headers = request(*(("X-Forwarded-For", chain) for chain in chains), ("X-Real-IP", real_ip))
    resolved = attributed(ClientResolver(TRUSTED, fallback), PROXY, headers)
    right = expected(",".join(chains), real_ip, fallback)
    assert (None if resolved is None else number_of(resolved.host)) == right


@given(left=CHAINS, client=st.ip_addresses(), hops=st.lists(st.sampled_from(["10.9.0.9", "127.9.0.9"]), max_size=3))
def test_nothing_left_of_what_the_proxy_wrote_changes_anything(left, client, hops):
    written = ", ".join([str(client), *hops])
    resolver = ClientResolver(TRUSTED)
    alone = attributed(resolver, PROXY, request(("X-Forwarded-For", written)))
    for headers in (
        request(("X-Forwarded-For", f"{left}, {written}")),
        request(("X-Forwarded-For", left), ("X-Forwarded-For", written)),
        request(("X-Forwarded-For", left), ("Forwarded", f"for={left}"), ("x-forwarded-for", written)),
    ):
        resolved = attributed(resolver, PROXY, headers)
        if expected(written, "", fallback=False) is not None:
            assert resolved == alone
        else:  # a trusted client or none: then what is left of it may be a client, but never one that can't be
            assert resolved is None or number_of(resolved.host) == expected(f"{left},{written}", "", fallback=False)


@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["X-Forwarded-For", "Forwarded", "X-Real-IP", "Tailscale-User-Login", "X-Forwarded-Host"]),
            st.one_of(CHAINS, st.text(max_size=40)),
        ),
        min_size=1,
        max_size=4,
    ),
    peer=st.ip_addresses().map(str),
)
def test_only_a_trusted_proxy_names_the_client_to_count(pairs, peer):
    resolver = ClientResolver(TRUSTED, allow_real_ip_fallback=True)
    if not any(within(number_of(peer), *trusted) for trusted in RANGES):
        assert attributed(resolver, peer, request(*pairs)) is None
