"""Checks the browser origin where the gateway requires no secret, so that no foreign web page can call it."""

import re
from collections.abc import Sequence

from gateway.access.address import parse_address
from gateway.access.headers import Headers, joined

ANY = "*"
"""The entry of `gateway.controlUi.allowedOrigins` that allows all."""
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/\\@:?#\[\]]+)(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class OriginPolicy:
    """The rule for `Origin` in modes without a shared secret (recorded).

    A request without an Origin is allowed: it does not come from a browser. Otherwise the origin must be in
    `gateway.controlUi.allowedOrigins` (`*` allows all), or it must be a loopback origin (any port) from a loopback
    peer. `null` is refused.
    """

    def __init__(self, allowed_origins: Sequence[str] = ()) -> None:
        self._any = any(origin.strip() == ANY for origin in allowed_origins)
        self._allowed = frozenset(parse_origin(origin) for origin in allowed_origins) - {None}

    def allows(self, headers: Headers, *, local: bool) -> bool:
        """Whether the request's Origin is allowed. `local` is True for a request directly from loopback."""
        origin = joined(headers, "Origin").strip()  # several headers join to an invalid origin
        if not origin:
            return True
        normal = parse_origin(origin)
        if normal is None:
            return False
        return self._any or normal in self._allowed or (local and _is_loopback(normal[1]))


def parse_origin(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an origin, with the default port filled in. None for an invalid origin (RFC 6454 §7)."""
    match = _ORIGIN.fullmatch(origin.strip().lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme)


def _is_loopback(host: str) -> bool:
    address = parse_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
