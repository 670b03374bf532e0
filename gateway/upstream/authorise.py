"""How a call to a provider is authorised: by headers that never change, or by headers made for each request.

Headers that never change are part of the prebuilt head of every address, so they cost nothing per request.
"""

from collections.abc import Awaitable, Callable, Mapping

from gateway.upstream.transport.endpoint import Endpoint
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


_KEY_HEADERS: Mapping[str, KeyHeaders] = {
    "anthropic-messages": key_header("x-api-key"),
    "google-generative-ai": key_header("x-goog-api-key"),
    "google-vertex": key_header("x-goog-api-key"),
    "azure-openai-responses": key_header("api-key"),
}


def key_headers_of(api: str) -> KeyHeaders:
    """How the makers of a wire format have the key sent; `Authorization: Bearer` unless they chose otherwise."""
    return _KEY_HEADERS.get(api, bearer)


def fixed_headers(key: str | None, extra: Mapping[str, str], key_headers: KeyHeaders = bearer) -> dict[str, str]:
    """The headers of every request to a provider; `extra`, which the configuration sets, wins over the key's."""
    own = {name.lower() for name in extra}
    credential = key_headers(key) if key else {}
    return {name: value for name, value in credential.items() if name.lower() not in own} | dict(extra)
