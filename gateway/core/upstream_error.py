"""A failure of a provider. Its kind decides status, retry and fallback.

`gateway.upstream.failure` and the wire formats raise it. `gateway.core.errors` has the tree of all errors.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from gateway.core.errors import GatewayError
from gateway.core.retry_after import retry_after_seconds


class UpstreamKind(StrEnum):
    """The kind of a provider's failure. It decides status, retry and fallback."""

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
    """A classified failure of a provider.

    `upstream_status` is the provider's HTTP status, None without a response; a 4xx about the request keeps it.
    `retry_after` is the provider's own hint in seconds. `retryable` says whether a retry with the same model may
    succeed; by default the kind decides.
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
        """Whether another candidate may succeed: True unless the request itself is wrong."""
        return self.kind not in self.FINAL

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` of a 429 or 503, if the provider sent one."""
        if self.retry_after is None or self.status not in (429, 503):
            return {}
        return {"Retry-After": str(retry_after_seconds(self.retry_after))}
