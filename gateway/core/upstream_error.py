"""What goes wrong at a provider, as one failure with a kind.

`gateway.upstream.failure` and the wire formats make these errors. What follows from a kind (retry, another key, another
model, cooldown) is one table in `gateway.runs.failover`; the tree of all failures is in `gateway.core.errors`.
"""

from collections.abc import Mapping
from enum import StrEnum

from gateway.core.errors import GatewayError
from gateway.core.retry_after import retry_after_seconds


class UpstreamKind(StrEnum):
    """What went wrong at the provider, or on the way to it."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    UNUSABLE = "unusable_status"
    """A status that is no answer and says nothing about the request, such as a redirect, 407 or 410."""
    AUTH = "auth"
    BILLING = "billing"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    """More than this account may ask for in one request; another provider may take it."""
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    TIMEOUT = "timeout"
    """The provider sent no first event, or no whole answer, in time."""
    REPORTED_TIMEOUT = "reported_timeout"
    """The provider or a proxy in front of it reports a timeout of its own (408, 504)."""
    TOTAL_TIMEOUT = "total_timeout"
    """The time of the whole run is over."""
    STALL = "stall"
    """The provider stopped sending in the middle of an answer, or broke it off after a long silence."""
    TRANSPORT = "transport"
    STALE = "stale_connection"
    """A kept connection ended when it was used again; says nothing about the provider."""
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    LOCAL = "local_resources"
    """This process has no file descriptor left to connect with."""
    MALFORMED = "malformed"
    DIVERGED = "diverged"
    """A replayed answer differs from what the client has already received."""
    PREFILL_REJECTED = "prefill_rejected"
    """The model did not continue the answer that it was given."""


_TYPES: dict[UpstreamKind, tuple[int, str]] = {
    UpstreamKind.RATE_LIMITED: (429, "upstream_rate_limited"),
    UpstreamKind.OVERLOADED: (503, "upstream_error"),
    UpstreamKind.SERVER_ERROR: (502, "upstream_error"),
    UpstreamKind.UNUSABLE: (502, "upstream_error"),
    UpstreamKind.AUTH: (502, "upstream_auth_error"),
    UpstreamKind.BILLING: (502, "upstream_auth_error"),
    UpstreamKind.NOT_FOUND: (404, "invalid_request_error"),
    UpstreamKind.INVALID_REQUEST: (400, "invalid_request_error"),
    UpstreamKind.TOO_LARGE: (400, "invalid_request_error"),
    UpstreamKind.CONTEXT_OVERFLOW: (400, "invalid_request_error"),
    UpstreamKind.CONTENT_FILTER: (400, "invalid_request_error"),
    UpstreamKind.TIMEOUT: (504, "upstream_timeout"),
    UpstreamKind.REPORTED_TIMEOUT: (504, "upstream_timeout"),
    UpstreamKind.TOTAL_TIMEOUT: (504, "upstream_timeout"),
    UpstreamKind.STALL: (504, "upstream_timeout"),
    UpstreamKind.TRANSPORT: (502, "upstream_error"),
    UpstreamKind.STALE: (502, "upstream_error"),
    UpstreamKind.CONNECT: (502, "upstream_error"),
    UpstreamKind.CONNECT_TIMEOUT: (502, "upstream_error"),
    UpstreamKind.TLS: (502, "upstream_error"),
    UpstreamKind.LOCAL: (503, "upstream_error"),
    UpstreamKind.MALFORMED: (502, "upstream_error"),
    UpstreamKind.DIVERGED: (502, "upstream_error"),
    UpstreamKind.PREFILL_REJECTED: (502, "upstream_error"),
}


class UpstreamError(GatewayError):
    """A provider's failure, classified once.

    `upstream_status` is the provider's HTTP status, if it got that far; a 4xx about the request keeps it.
    `retry_after` is seconds, from the provider's own hint.
    """

    def __init__(
        self,
        kind: UpstreamKind,
        message: str,
        *,
        upstream_status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.kind = kind
        self.upstream_status = upstream_status
        self.retry_after = retry_after
        status, self.type = _TYPES[kind]
        about_the_request = self.type == "invalid_request_error" and upstream_status in (400, 404, 413, 422)
        self.status = upstream_status if about_the_request and upstream_status else status

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` of a 429 or 503, if the provider sent one."""
        if self.retry_after is None or self.status not in (429, 503):
            return {}
        return {"Retry-After": str(retry_after_seconds(self.retry_after))}
