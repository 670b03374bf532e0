"""From what a server knows of a connection to the key that failures are counted under."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from openclaw_ratelimit.errors import ConfigurationError

_PREFIX = 64  # bits of an IPv6 address that its owner can't change at will


@lru_cache(4096)
def client_key(address: str) -> str:
    """An address as a key: IPv4 as it is, an IPv6 address as its network of 64 bits, because its owner has them all.

    A port is left out. What is no address (a Unix socket) is its own key.
    """
    parsed = _parsed(address)
    if parsed is None:
        return address
    if isinstance(parsed, IPv6Address) and not parsed.is_loopback:
        return str(IPv6Network((parsed, _PREFIX), strict=False))
    return str(parsed)


class TrustedProxies:
    """Proxies whose `X-Forwarded-For` is believed: addresses and networks. Raises ConfigurationError."""

    def __init__(self, networks: Iterable[str]) -> None:
        try:
            self._networks = tuple(ip_network(network) for network in networks)
        except ValueError as error:
            raise ConfigurationError(f"trusted proxies must be addresses or networks: {error}") from None

    def client(self, peer: str | None, forwarded_for: Sequence[str] = ()) -> str:
        """The key of the client behind a connection from `peer`, given all `X-Forwarded-For` headers.

        The header is read from the right, because everything to the left of the last untrusted hop is the client's own
        invention; without a trusted peer it is not read at all.
        """
        hops = [hop.strip() for header in forwarded_for for hop in header.split(",")]
        current = peer or ""
        while hops and self._trusts(current):
            current = hops.pop()
        return client_key(current)

    def _trusts(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """The address in `203.0.113.9`, `203.0.113.9:443`, `2001:db8::1`, `[2001:db8::1]:443` or `fe80::1%eth0`."""
    host = address.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
