"""Which web pages may read the gateway's answers (https://fetch.spec.whatwg.org/#http-cors-protocol).

Only the origins in `gateway.controlUi.allowedOrigins` may. A page still needs a credential, which the browser may send
by itself (cookies of a proxy) for a listed origin, never for `*`.
"""

import re
from collections.abc import Sequence

from gateway.access.headers import Headers, joined
from gateway.access.origin import ANY, parse_origin

_MAX_AGE = "600"  # seconds for which a browser remembers a preflight
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~, -]{0,1000}", re.ASCII)
_EXPOSED = ", ".join(
    (
        *("Retry-After", "Server-Timing", "X-Request-ID", "request-id", "WWW-Authenticate"),
        *("x-openclaw-model", "x-openclaw-attempts", "x-openclaw-token-count", "x-openclaw-budget"),
        *("RateLimit", "RateLimit-Policy"),
        *(f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")),
    )
)


class CorsPolicy:
    """The rule for origins of web pages; without any origin it is off."""

    def __init__(self, allowed_origins: Sequence[str] = ()) -> None:
        self._any = any(origin.strip() == ANY for origin in allowed_origins)
        self._allowed = frozenset(parse_origin(origin) for origin in allowed_origins) - {None}

    def response_headers(self, headers: Headers) -> dict[str, str]:
        """The headers that let the page of a request read its response; empty if it may not, or is no page."""
        origin = joined(headers, "Origin").strip()  # several headers join to an invalid origin
        if not origin or not (self._any or self._allowed):
            return {}
        allowed: dict[str, str] = {}
        if (normal := parse_origin(origin)) is not None and normal in self._allowed:
            allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        elif self._any:
            allowed = {"Access-Control-Allow-Origin": "*"}
        return {**allowed, "Access-Control-Expose-Headers": _EXPOSED, "Vary": "Origin"} if allowed else {}

    def preflight_headers(self, headers: Headers, methods: Sequence[str]) -> dict[str, str]:
        """The headers of the answer to a preflight; empty if it is none, or the page may not read a response."""
        if headers.get("Access-Control-Request-Method") is None or not self.response_headers(headers):
            return {}
        allowed = {"Access-Control-Allow-Methods": ", ".join(methods), "Access-Control-Max-Age": _MAX_AGE}
        asked = (headers.get("Access-Control-Request-Headers") or "").strip()
        if asked and _HEADER_NAMES.fullmatch(asked):
            allowed["Access-Control-Allow-Headers"] = asked
        return allowed
