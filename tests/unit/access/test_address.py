from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.address import TrustedNetworks, client_key, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("  203.0.113.5\t", "203.0.113.5"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.22", "203.0.113.22"),
        ("::ffff:cb00:7116", "203.0.113.22"),
        ("[::ffff:203.0.113.22]:80", "203.0.113.22"),
        ("fe80::1%eth0", "fe80::1"),
        ("::", "::"),
    ],
)
def test_addresses_are_read_in_every_spelling_proxies_use(text, address):
    assert parse_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "example.com",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.05",
        "0x7f.0.0.1",
        "2130706433",
        "203.0.113.5:",
        "203.0.113.5:http",
        "203.0.113.5:\N{FULLWIDTH DIGIT EIGHT}",
        "\N{FULLWIDTH DIGIT TWO}03.0.113.5",
        "203.0.113.5 evil",
        "203.0.113.5;1",
        '"203.0.113.5"',
        "for=203.0.113.5",
        "[2001:db8::1",
        "[2001:db8::1]443",
        "[]:80",
        "2001:db8::1::2",
        "1.2.3.4/8",
        "\x00",
    ],
)
def test_anything_else_is_no_address(text):
    assert parse_address(text) is None


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text):
    address = parse_address(text)
    assert address is None or parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_failures_are_counted_per_customer(address, key):
    assert client_key(ip_address(address)) == key


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_moving_within_a_64_changes_no_key(address, host):
    network = ip_network((address, 64), strict=False)
    if not address.is_loopback and not network[host].is_loopback:
        assert client_key(network[host]) == client_key(address) == str(network)


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
        (" 10.0.0.0/8 ", "10.255.255.255", "11.0.0.0"),
        ("10.0.0.7/8", "10.1.2.3", "11.0.0.0"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
        ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.8"),
        ("0.0.0.0/0", "8.8.8.8", "2001:db8::1"),
        ("::/96", "::1", "10.0.0.1"),
    ],
)
def test_trusted_networks_are_addresses_and_ranges(entry, inside, outside):
    trusted = TrustedNetworks([entry])
    assert ip_address(inside) in trusted
    assert ip_address(outside) not in trusted


def test_without_entries_nobody_is_trusted():
    assert ip_address("127.0.0.1") not in TrustedNetworks([])


@pytest.mark.parametrize("entry", ["", "proxy.local", "10.0.0.0/33", "*"])
def test_an_invalid_network_is_named_in_the_error(entry):
    with pytest.raises(ValueError, match="trustedProxies") as error:
        TrustedNetworks(["10.0.0.1", entry])
    assert repr(entry) in str(error.value)
