import pytest

from openclaw_ratelimit import ConfigurationError
from openclaw_ratelimit.addresses import TrustedProxies, client_key


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("203.0.113.9:51000", "203.0.113.9"),
        ("[2001:db8::1]:51000", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("unix:", "unix:"),
        ("[", "["),
        ("", ""),
    ],
)
def test_an_address_has_the_key_of_what_its_owner_holds(address, key):
    assert client_key(address) == key


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),  # not trusted: its header is its own invention
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1", "2001:db8::1"], "2001:db8::/64"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9:51000, 10.0.0.2:443"], "203.0.113.9"),  # some proxies add ports
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], ""),
    ],
)
def test_a_client_is_what_the_last_untrusted_hop_says(peer, forwarded, key):
    assert TrustedProxies(["10.0.0.0/8"]).client(peer, forwarded) == key


def test_a_network_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="trusted proxies must be"):
        TrustedProxies(["10.0.0.1/8"])
