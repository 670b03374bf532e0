"""IP addresses from sockets and proxy headers: parsing, folding, trusted networks, keys for counting failures.

`client` decides which address is the client's.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CLIENT_PREFIX = 64  # One IPv6 customer owns at least a /64 and could use a new address for every attempt.
_HOST_BITS = 128 - _CLIENT_PREFIX
_MAPPED_BITS = 96
_BROADCAST = IPv4Address("255.255.255.255")


def parse_address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1` or `[2001:db8::1]:80`. None for any other text.

    An IPv4-mapped IPv6 address becomes IPv4, and the zone of an IPv6 address (`%eth0`) is dropped, so that a client has
    one spelling (recorded).
    """
    text = text.strip(" \t")  # RFC 9110 §5.6.3 allows only these around an element; Python would strip more
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        if not _is_port(colon + port):
            return None
    host, zoned, _ = text.partition("%")
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return None if zoned else address


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit()


def may_be_client(address: Address) -> bool:
    """Whether a proxy can receive a request from this address: not its own loopback, and a possible source address."""
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address == _BROADCAST)


def client_key(address: Address) -> str:
    """The key for counting failures: an IPv4 address, the /64 of an IPv6 address, or a single loopback address."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return str(address)
    # Shifting the bits gives the same network as ip_network() at a fifth of the cost.
    return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/{_CLIENT_PREFIX}"


class TrustedNetworks:
    """The networks of `gateway.trustedProxies`: addresses and CIDR ranges. IPv4-mapped ones become IPv4.

    Raises ValueError for another entry; the message names it.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks = tuple(_network(entry) for entry in entries)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry.strip(), strict=False)
    except ValueError:
        raise ValueError(
            f"trustedProxies: {entry!r} is neither an IP address nor a CIDR range; write it like 10.0.0.7 or 10.0.0.0/8"
        ) from None
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
