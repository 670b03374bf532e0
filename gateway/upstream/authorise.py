"""How a call to a provider is authorised: by headers that never change, or by headers made for each request.

Headers that never change are part of the prebuilt head of every address, so they cost nothing per request.
"""

from collections.abc import Awaitable, Callable, Mapping

from gateway.upstream.transport.endpoint import Endpoint
from gateway.wire import UPSTREAMS
from gateway.wire.contract import WireRequest

KeyHeaders = Callable[[str], Mapping[str, str]]
"""The headers that carry an API key."""

Signer = Callable[[Endpoint, WireRequest], Awaitable[Mapping[str, str]]]
"""The headers that authorise this one request: a signature, or a token that is renewed. Raises UpstreamError."""


def bearer(key: str) -> Mapping[str, str]:
    """`Authorization: Bearer` (RFC 6750 §2.1)."""
    return {"Authorization": f"Bearer {key}"}


def key_header(name: str) -> KeyHeaders:
    """The key alone, in a header of this name, such as `x-api-key`."""
    return lambda key: {name: key}


def key_headers_of(api: str) -> KeyHeaders:
    """How a wire format has its key sent; `Authorization: Bearer` for one that is not served."""
    wire = UPSTREAMS.get(api)
    return bearer if wire is None or wire.key_header is None else key_header(wire.key_header)


def fixed_headers(key: str | None, extra: Mapping[str, str], key_headers: KeyHeaders = bearer) -> dict[str, str]:
    """The headers of every request to a provider; `extra`, which the configuration sets, wins over the key's."""
    own = {name.lower() for name in extra}
    credential = key_headers(key) if key else {}
    return {name: value for name, value in credential.items() if name.lower() not in own} | dict(extra)
