"""Failures of providers: one error class with a kind.

`gateway.upstream.failure` and the wire formats raise it. The table in `gateway.runs.failover` defines what follows from
each kind (retry, another key, another model, cooldown). `gateway.core.errors` shows the tree of all errors.
"""

from collections.abc import Mapping
from enum import StrEnum

from gateway.core.errors import GatewayError
from gateway.core.retry_after import retry_after_seconds


class UpstreamKind(StrEnum):
    """The kind of failure at the provider, or on the way to it."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    UNUSABLE = "unusable_status"
    """A status that is neither an answer nor about the request, such as a redirect, 407 or 410."""
    AUTH = "auth"
    BILLING = "billing"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    """The request exceeds a limit of this account; another provider may accept it."""
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    UNSUPPORTED = "unsupported"
    """The wire format of this model can't express a part of the request, so nothing was sent."""
    TIMEOUT = "timeout"
    """The provider did not send the first event, or the whole answer, in time."""
    REPORTED_TIMEOUT = "reported_timeout"
    """The provider, or a proxy in front of it, reports a timeout (408, 504)."""
    TOTAL_TIMEOUT = "total_timeout"
    """The time limit of the whole run is over."""
    STALL = "stall"
    """The provider stopped sending in the middle of an answer, or closed the connection after a long silence."""
    TRANSPORT = "transport"
    STALE = "stale_connection"
    """A stale keep-alive connection: the provider had closed it before the request. Not a failure of the provider."""
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    LOCAL = "local_resources"
    """This process has no free file descriptor for a connection."""
    MALFORMED = "malformed"
    DIVERGED = "diverged"
    """A replayed answer differs from what the client has already received."""
    PREFILL_REJECTED = "prefill_rejected"
    """The model did not continue the prefilled answer."""


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
    UpstreamKind.UNSUPPORTED: (400, "invalid_request_error"),
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
    """A failure of a provider, with its kind.

    `upstream_status` is the provider's HTTP status, None if it sent none; a 4xx about the request is also the status
    for the client. `retry_after` is the provider's `Retry-After` in seconds. `without_quotes` is the message without
    what it quotes of the prompt, None if it has no words of the provider's. `final`: the provider says that the same
    request would fail again.
    """

    without_quotes: str | None = None
    final = False

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
    def log_message(self) -> str:
        """See GatewayError: prompts are in no log."""
        return self.message if self.without_quotes is None else self.without_quotes

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` of a 429 or 503, if the provider sent one."""
        if self.retry_after is None or self.status not in (429, 503):
            return {}
        return {"Retry-After": str(retry_after_seconds(self.retry_after))}
