"""Checks `Host`, so that no web page reaches the gateway through DNS rebinding.

A page of evil.example can let its own name resolve to 127.0.0.1. The browser then takes the gateway for a part of that
page and sends no `Origin` with a GET, but it still names evil.example in `Host`. A gateway that requires no secret
always checks it; any gateway does with `gateway.http.allowedHosts`.
"""

from collections.abc import Sequence

from gateway.access.address import parse_address
from gateway.access.headers import Headers, joined
from gateway.access.origin import ANY, parse_origin


class HostPolicy:
    """The rule for `Host`: this machine's loopback names and addresses, the `hosts`, or a host of the `origins`, which
    are `gateway.controlUi.allowedOrigins` (`*` allows all). A host `*.example.com` stands for all names below it. Ports
    don't count.
    """

    def __init__(self, origins: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        names = [host.strip().lower() for host in hosts]
        self._any = any(origin.strip() == ANY for origin in origins)
        parsed = (parse_origin(origin) for origin in origins)
        self._allowed = frozenset([*names, *(origin[1] for origin in parsed if origin is not None)])
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def allows(self, headers: Headers) -> bool:
        """Whether the request's Host is allowed. A request without one is not."""
        if self._any:
            return True
        host = joined(headers, "Host").strip().lower()  # several headers join to an invalid host
        address = parse_address(host)
        if address is not None:
            return address.is_loopback or _without_port(host) in self._allowed
        name = _without_port(host).removesuffix(".")
        return name == "localhost" or name in self._allowed or name.endswith(self._suffixes)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host
