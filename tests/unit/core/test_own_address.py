import socket

import pytest

from gateway.core.own_address import is_in_own_network, is_own_address


def test_loopback_is_an_own_address():
    assert is_own_address("127.0.0.1")


def test_the_source_address_of_the_default_route_is_an_own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no route")
        assert is_own_address(unsent.getsockname()[0])


def test_an_address_beyond_the_default_route_is_not():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("198.51.100.77", 9))
        except OSError:
            pytest.skip("this machine has no route")
    assert not is_own_address("198.51.100.77")


@pytest.mark.parametrize("host", ["fe80::77", "255.255.255.255"])
def test_without_a_route_an_address_is_not_trusted(host):
    assert is_own_address(host)


@pytest.mark.parametrize(
    ("source", "host", "own"),
    [
        ("2a00:1::1", "2a00:1::1", True),
        ("2a00:1::1", "2a00:1::99", True),
        ("2a00:1::1", "2a00:1:0:1::99", False),
        ("93.184.216.34", "93.184.216.34", True),
        ("93.184.216.34", "93.184.216.35", False),
        (None, "93.184.216.35", True),
    ],
)
def test_hosts_of_the_same_ipv6_network_are_in_the_own_network(monkeypatch, source, host, own):
    monkeypatch.setattr("gateway.core.own_address._source_for", lambda _host: source)
    assert is_in_own_network(host) is own
