"""The origin and the prebuilt head of requests, created once per address and set of headers."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from yarl import URL

from gateway.upstream.transport.route import Route

# The transport sets the headers of the connection and of the body's framing.
_FRAMING = frozenset({
    "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


class Origin(NamedTuple):
    """The server of a connection, and the route to it if it has one of its own. Connections to the same origin are
    interchangeable.
    """

    host: str
    port: int
    tls: bool
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`head` is a request up to the value of `Content-Length`."""

    origin: Origin
    head: bytes = field(repr=False)  # contains the credential


def origin_of(url: str, route: Route | None = None) -> Origin:
    """The server of a base URL. Raises ValueError for an invalid one."""
    return _origin(URL(url), route)


def _origin(parsed: URL, route: Route | None) -> Origin:
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or parsed.port is None:
        raise ValueError("the base URL is not an http or https URL with a host")
    return Origin(parsed.raw_host, parsed.port, parsed.scheme == "https", route)


def endpoint(
    url: str, headers: Mapping[str, str], defaults: Mapping[str, str], path: str = "", route: Route | None = None
) -> Endpoint:
    """POST to `path` below `url` with these headers, and with the `defaults` that they don't replace.

    `path` is sent as it is: encoded, such as a model's id whose colons are escaped.

    A user and password in the URL become an `Authorization` header unless there is one. Raises ValueError for an
    invalid URL or header.
    """
    parsed = URL(url)
    origin = _origin(parsed, route)
    names = {name.lower() for name in headers}
    if framing := sorted(_FRAMING & names):
        raise ValueError(f"the header '{framing[0]}' can't be set")
    extra = {"Host": parsed.host_port_subcomponent or "", **defaults}
    if parsed.user is not None:
        pair = f"{parsed.user}:{parsed.password or ''}".encode()
        extra["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    every = {name: value for name, value in extra.items() if name.lower() not in names} | dict(headers)
    if not path.isascii() or any(char <= " " for char in path):
        raise ValueError("the path has a character that can't be sent")
    target = f"{parsed.raw_path.rstrip('/')}{path}" if path else parsed.raw_path
    if query := parsed.raw_query_string:  # of the base URL, such as Azure's `api-version`
        target += f"{'&' if '?' in path else '?'}{query}"
    if route is not None and route.proxy is not None and not origin.tls:  # asked of the proxy (RFC 9112 §3.2.2)
        target = f"http://{parsed.host_port_subcomponent}{target}"
        if route.proxy.authorization is not None:
            every["Proxy-Authorization"] = route.proxy.authorization
    lines = [f"POST {target} HTTP/1.1", *(_line(name, value) for name, value in every.items())]
    head = "\r\n".join([*lines, "Content-Length: "]).encode()
    return Endpoint(origin, head)


def as_get(made: Endpoint) -> Endpoint:
    """The same address for a GET without a body; heads are prebuilt for POST."""
    return Endpoint(made.origin, b"GET" + made.head.removeprefix(b"POST"))


def with_headers(made: Endpoint, headers: Mapping[str, str]) -> Endpoint:
    """The same address with these headers in place of those of the same names, for one request.

    Raises ValueError for a header that can't be sent.
    """
    names = {name.lower().encode() for name in headers}
    request, *lines, length = made.head.split(b"\r\n")
    others = (line for line in lines if line.partition(b":")[0].lower() not in names)
    added = (_line(name, value).encode() for name, value in headers.items())
    return Endpoint(made.origin, b"\r\n".join((request, *others, *added, length)))


def _line(name: str, value: str) -> str:
    if not name or not name.isascii() or any(char in name for char in " \t\r\n:\0"):
        raise ValueError("a header's name has a character that can't be sent")
    if any(char in value for char in "\r\n\0"):
        raise ValueError(
            f"the value of the header '{name}' has a line break"
        )  # it may be a secret, so it is not quoted
    return f"{name}: {value}"
