"""Whether an address belongs to this machine or its network, according to the kernel's routing table."""

import socket
from ipaddress import IPv6Address

_ANY_PORT = 9  # Connecting a datagram socket only selects a route and sends nothing, so any port works.
_SUBNET_BITS = 64  # of an IPv6 network; the rest identifies the host


def is_own_address(host: str) -> bool:
    """Whether `host` (an IP address) is an address of this machine.

    The kernel's source address for an own address is that same address; for any other it differs. Without a route the
    result is True, so that callers do not trust the address (recorded).
    """
    source = _source_for(host)
    return source is None or source == host


def is_in_own_network(host: str) -> bool:
    """The same, and True for other hosts of this machine's own IPv6 network.

    They have public addresses too, although a firewall may keep the public from them.
    """
    source = _source_for(host)
    if source is None or source == host:
        return True
    return ":" in host and _subnet(source) == _subnet(host)


def _subnet(host: str) -> int:
    return int(IPv6Address(host.partition("%")[0])) >> (128 - _SUBNET_BITS)


def _source_for(host: str) -> str | None:
    """The address that this machine would use towards `host`; None without a route."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unsent:
            unsent.connect((host, _ANY_PORT))
            return str(unsent.getsockname()[0])
    except OSError:
        return None
