"""Where requests go and what stands before each of their bodies: made once per address and set of headers."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from yarl import URL

# They belong to the connection or the body, which are the transport's business.
_FRAMING = frozenset({
    "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


class Origin(NamedTuple):
    """Whom to connect to; connections to the same origin are interchangeable."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`head` is all of a request up to the value of `Content-Length`."""

    origin: Origin
    head: bytes = field(repr=False)  # holds the credential


def endpoint(url: str, headers: Mapping[str, str], defaults: Mapping[str, str]) -> Endpoint:
    """POST to `url` with these headers, and with those of `defaults` that they don't name.

    A user and password in the URL become an `Authorization` unless there is one. Raises ValueError for a URL or a
    header that can't be sent.
    """
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or parsed.port is None:
        raise ValueError("the base URL is not an http or https URL with a host")
    said = {name.lower(): value for name, value in headers.items()}
    if framing := sorted(_FRAMING & said.keys()):
        raise ValueError(f"the header '{framing[0]}' can't be set")
    extra = {"Host": parsed.host_port_subcomponent or "", **defaults}
    if parsed.user is not None:
        pair = f"{parsed.user}:{parsed.password or ''}".encode()
        extra["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    every = {name: value for name, value in extra.items() if name.lower() not in said} | dict(headers)
    lines = [f"POST {parsed.raw_path_qs} HTTP/1.1", *(_line(name, value) for name, value in every.items())]
    head = "\r\n".join([*lines, "Content-Length: "]).encode()
    return Endpoint(Origin(parsed.raw_host, parsed.port, parsed.scheme == "https"), head)


def _line(name: str, value: str) -> str:
    if not name or not name.isascii() or any(char in name for char in " \t\r\n:\0"):
        raise ValueError("a header's name has a character that can't be sent")
    if any(char in value for char in "\r\n\0"):
        raise ValueError(f"the value of the header '{name}' has a line break")  # not quoted: it may be a secret
    return f"{name}: {value}"
