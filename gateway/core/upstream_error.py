"""What goes wrong at a provider, as one failure with a kind; the kind decides status, retry and fallback.

`gateway.upstream.failure` and the wire formats make these; the tree of all failures is in `gateway.core.errors`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from gateway.core.errors import GatewayError


class UpstreamKind(StrEnum):
    """What went wrong at the provider; decides status, retry and fallback."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    AUTH = "auth"
    BILLING = "billing"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"
    MALFORMED = "malformed"


_TYPES: dict[UpstreamKind, tuple[int, str]] = {
    UpstreamKind.RATE_LIMITED: (429, "upstream_rate_limited"),
    UpstreamKind.OVERLOADED: (503, "upstream_error"),
    UpstreamKind.SERVER_ERROR: (502, "upstream_error"),
    UpstreamKind.AUTH: (502, "upstream_auth_error"),
    UpstreamKind.BILLING: (502, "upstream_auth_error"),
    UpstreamKind.NOT_FOUND: (404, "invalid_request_error"),
    UpstreamKind.INVALID_REQUEST: (400, "invalid_request_error"),
    UpstreamKind.CONTEXT_OVERFLOW: (400, "invalid_request_error"),
    UpstreamKind.CONTENT_FILTER: (400, "invalid_request_error"),
    UpstreamKind.TIMEOUT: (504, "upstream_timeout"),
    UpstreamKind.TRANSPORT: (502, "upstream_error"),
    UpstreamKind.MALFORMED: (502, "upstream_error"),
}


class UpstreamError(GatewayError):
    """A provider's failure, classified once and told honestly.

    `upstream_status` is the provider's HTTP status, if it got that far; a 4xx about the request keeps it.
    `retry_after` is seconds, from the provider's own hint. `retryable` says whether the same model may do better when
    it is asked again; by default its kind decides.
    """

    FINAL: ClassVar[frozenset[UpstreamKind]] = frozenset({UpstreamKind.INVALID_REQUEST, UpstreamKind.CONTENT_FILTER})
    LASTING: ClassVar[frozenset[UpstreamKind]] = FINAL | {
        UpstreamKind.AUTH,
        UpstreamKind.BILLING,
        UpstreamKind.NOT_FOUND,
        UpstreamKind.CONTEXT_OVERFLOW,
    }

    def __init__(
        self,
        kind: UpstreamKind,
        message: str,
        *,
        upstream_status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.kind = kind
        self.retryable = kind not in self.LASTING if retryable is None else retryable
        self.upstream_status = upstream_status
        self.retry_after = retry_after
        status, self.type = _TYPES[kind]
        about_the_request = self.type == "invalid_request_error" and upstream_status in (400, 404, 413, 422)
        self.status = upstream_status if about_the_request and upstream_status else status

    @property
    def failover(self) -> bool:
        """Whether another candidate may do better: everything but a plain error in the request itself."""
        return self.kind not in self.FINAL

    @property
    def headers(self) -> Mapping[str, str]:
        """The provider's own `Retry-After`, rounded up, when it gave one with a 429 or 503."""
        if self.retry_after is None or self.status not in (429, 503):
            return {}
        return {"Retry-After": str(max(1, -int(-self.retry_after // 1)))}
