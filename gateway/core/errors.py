"""Every failure a caller can be told, as one tree; the class carries the HTTP status and the error type.

GatewayError
├── BadRequest 400              invalid_request_error
├── Unauthorized 401            unauthorized
├── Forbidden 403               forbidden
│   ├── MissingScope            (own body, as recorded)
│   └── ProxyAttributionRequired  proxy_attribution_required
├── NotFound 404                invalid_request_error
├── RequestTimeout 408          invalid_request_error
├── Conflict 409                conflict
├── PayloadTooLarge 413         invalid_request_error
├── RateLimited 429             rate_limited
│   └── LockedOut               (too many wrong credentials)
├── Unavailable 503             unavailable
├── ToolChoiceUnmet 502         api_error
├── ToolRoundsExhausted 502     api_error
└── UpstreamError               status and type by kind (`gateway.core.upstream_error`)

Rendering is the business of `gateway.http.errors`; nothing here knows HTTP frameworks.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Usage


class GatewayError(Exception):
    """A failure with one honest sentence for the caller.

    `message` is sent to the caller, so it never holds a secret. `param` names the request field at fault, `code` a
    machine-readable reason (OpenAI's error object, both may be null). `usage` is what the provider's answers before it
    cost, where there were any and it is known.
    """

    status: int = 500
    type: str = "api_error"
    usage: Usage | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to this failure, such as `Retry-After`."""
        return {}

    def payload(self) -> dict[str, Any]:
        """The JSON body: OpenAI's error object (https://platform.openai.com/docs/guides/error-codes)."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(GatewayError):
    """The request can't be served as it stands; repeating it unchanged will not help."""

    status = 400
    type = "invalid_request_error"


class Unauthorized(GatewayError):
    """No valid credential. One body for every reason, so that nothing can be learnt from it (recorded)."""

    status = 401
    type = "unauthorized"

    def __init__(self) -> None:
        super().__init__("Unauthorized")

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 §11.6.1: a 401 names the scheme."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(GatewayError):
    """Known caller, but not allowed."""

    status = 403
    type = "forbidden"


class MissingScope(Forbidden):
    """The caller's scopes don't cover the route; keeps the recorded outer form of its body."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"missing scope: {scope}")
        self.scope = scope

    def payload(self) -> dict[str, Any]:
        """The recorded 403 body, with `ok` and `details` as OpenClaw's clients read them."""
        details = {"code": "MISSING_SCOPE", "missingScope": self.scope, "requiredScopes": [self.scope]}
        return {"ok": False, "error": {"type": self.type, "message": self.message, "details": details}}


class ProxyAttributionRequired(Forbidden):
    """Forwarded headers from a peer that is not a trusted proxy, or no usable client address in them (recorded).

    `why` says which of the two it was, to the operator's log; callers are not told.
    """

    type = "proxy_attribution_required"

    def __init__(self, why: str = "") -> None:
        self.why = why
        super().__init__(
            "The request carries proxy headers but can't be attributed to a client. List the proxy's address in "
            "gateway.trustedProxies and make it overwrite X-Forwarded-For with the client's address."
        )


class NotFound(GatewayError):
    """The named thing does not exist."""

    status = 404
    type = "invalid_request_error"


class RequestTimeout(GatewayError):
    """The request body did not arrive in time."""

    status = 408
    type = "invalid_request_error"


class Conflict(GatewayError):
    """Another request is in the way; `retry_after` is whole seconds, at least 1."""

    status = 409
    type = "conflict"

    def __init__(self, message: str, *, code: str, retry_after: int) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` in seconds (RFC 9110 §10.2.3)."""
        return {"Retry-After": str(self.retry_after)}


class PayloadTooLarge(GatewayError):
    """The request body is over the route's limit."""

    status = 413
    type = "invalid_request_error"


class RateLimited(GatewayError):
    """Too much was asked of the gateway; `retry_after` is whole seconds, at least 1.

    `why` is the reason for the log, the same words each time.
    """

    status = 429
    type = "rate_limited"

    def __init__(self, message: str, retry_after: int, *, why: str, code: str | None = "rate_limit_exceeded") -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.why = why

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After` in seconds (RFC 9110 §10.2.3)."""
        return {"Retry-After": str(self.retry_after)}


class LockedOut(RateLimited):
    """Too many wrong credentials from this client."""

    def __init__(self, retry_after: int) -> None:
        said = "Too many failed authentication attempts. Please try again later."
        super().__init__(said, retry_after, why="locked out", code=None)


class Unavailable(GatewayError):
    """The gateway can't serve this now, though the request is fine."""

    status = 503
    type = "unavailable"


class ToolChoiceUnmet(GatewayError):
    """The model did not make the tool call that `tool_choice` demands. `usage` is what its answer cost, where known."""

    status = 502
    type = "api_error"

    def __init__(self, message: str, *, param: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message, param=param)
        self.usage = usage


class ToolRoundsExhausted(GatewayError):
    """The model went on calling tools when it could no longer have them, and so gave no answer."""

    status = 502
    type = "api_error"


class ConfigError(Exception):
    """The configuration can't be used; `problems` lists every one of them, path first."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
