import socket

import pytest

from gateway.access.own_address import is_own_address


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
