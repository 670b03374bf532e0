"""Every error that a client can get, as one tree. The class defines the HTTP status and the error type.

GatewayError
├── BadRequest 400              invalid_request_error
├── Unauthorized 401            unauthorized
├── Forbidden 403               forbidden
│   ├── MissingScope            (the body has a form of its own, as recorded)
│   ├── AgentNotAllowed         (the client's key does not include the agent)
│   └── ProxyAttributionRequired  proxy_attribution_required
├── NotFound 404                invalid_request_error
├── RequestTimeout 408          invalid_request_error
├── AlreadyExists 409           conflict
├── Conflict 409                conflict
│   ├── SessionBusy             (another request uses the conversation)
│   └── SessionChanged          (another request changed the conversation)
├── WrongHost 421               invalid_request_error
├── ConfigurationRefused 422    invalid_configuration
├── PayloadTooLarge 413         invalid_request_error
├── UnsupportedCoding 415       invalid_request_error
├── RateLimited 429             rate_limited
│   ├── BudgetExceeded          budget_exceeded
│   └── LockedOut               (too many wrong credentials)
├── Unavailable 503             unavailable
│   └── Overloaded              (a limit of the gateway's own memory or work)
├── ToolChoiceUnmet 502         api_error
├── ToolRoundsExhausted 502     api_error
├── FailedResponse              status and type of its cause, with a response object (`gateway.http.answers`)
└── UpstreamError               status and type by kind (`gateway.core.upstream_error`)

The client's wire format renders them (`gateway.http.errors`). This module does not depend on an HTTP framework.
"""

from collections.abc import Mapping, Sequence

from gateway.core.retry_after import retry_after_seconds
from gateway.core.usage import Usage


class GatewayError(Exception):
    """An error with a message for the client.

    The client reads `message`, so it never contains a secret. `param` names the wrong request field and `code` is a
    machine-readable reason; both may be None. `retry_after` are the seconds after which the same request may succeed,
    None if that is unknown. `usage` is what the provider's answers before the error cost; None if there were none or
    their usage is unknown.
    """

    status: int = 500
    type: str = "api_error"
    retry_after: float | None = None
    usage: Usage | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    @property
    def log_message(self) -> str:
        """The message as logs and records of runs have it."""
        return self.message

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the error response: `Retry-After` in seconds (RFC 9110 §10.2.3) if it is known."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class BadRequest(GatewayError):
    """The request is wrong. The same request will fail again."""

    status = 400
    type = "invalid_request_error"


class Unauthorized(GatewayError):
    """The request has no valid credential. The body is the same for every reason, so it reveals nothing (recorded)."""

    status = 401
    type = "unauthorized"

    def __init__(self) -> None:
        super().__init__("Unauthorized")

    @property
    def headers(self) -> Mapping[str, str]:
        """A 401 names the authentication scheme (RFC 9110 §11.6.1)."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(GatewayError):
    """The caller is authenticated but not allowed to do this."""

    status = 403
    type = "forbidden"


class MissingScope(Forbidden):
    """The caller's scopes don't include `scope`."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"missing scope: {scope}")
        self.scope = scope


class AgentNotAllowed(Forbidden):
    """The caller's key does not include this agent. `param` names the field or header that selected it."""

    def __init__(self, agent: str, param: str) -> None:
        super().__init__(
            f"This key may not use the agent '{agent}'. GET /v1/models lists the agents that it may use.",
            param=param,
            code="agent_not_allowed",
        )


class ProxyAttributionRequired(Forbidden):
    """A peer that is not a trusted proxy sent forwarded headers, or the headers name no usable client (recorded).

    `why` names which of the two, for the operator's log. The client does not see it.
    """

    type = "proxy_attribution_required"

    def __init__(self, why: str = "") -> None:
        self.why = why
        super().__init__(
            "The request carries proxy headers but can't be attributed to a client. List the proxy's address in "
            "gateway.trustedProxies and make it overwrite X-Forwarded-For with the client's address."
        )


class NotFound(GatewayError):
    """The requested object does not exist."""

    status = 404
    type = "invalid_request_error"


class RequestTimeout(GatewayError):
    """The request body did not arrive in time."""

    status = 408
    type = "invalid_request_error"


class AlreadyExists(GatewayError):
    """Something with this name exists. The same request fails until that is removed."""

    status = 409
    type = "conflict"


class Conflict(GatewayError):
    """Another request prevents this one. `retry_after` is whole seconds, at least 1."""

    status = 409
    type = "conflict"

    def __init__(self, message: str, *, code: str, retry_after: int) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class SessionBusy(Conflict):
    """Another request uses the conversation and did not end within `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            f"Another request has used this conversation for {wait:g} s. Send this request again later.",
            code="session_busy",
            retry_after=retry_after_seconds(wait / 2),
        )


class SessionChanged(Conflict):
    """Another request changed or deleted the conversation while this request held an outdated lease."""

    def __init__(self) -> None:
        super().__init__(
            "Another request changed or deleted this conversation, so this turn is not part of it. Send the request "
            "again.",
            code="session_changed",
            retry_after=1,
        )


class WrongHost(GatewayError):
    """`Host` names another server than this gateway."""

    status = 421
    type = "invalid_request_error"

    def __init__(self) -> None:
        super().__init__(
            "This gateway does not answer for the Host of the request; add it to gateway.http.allowedHosts.",
            code="host_not_allowed",
        )


class ConfigurationRefused(GatewayError):
    """A changed configuration can't be used; the last one stays in force. `problems` are texts without secrets."""

    status = 422
    type = "invalid_configuration"

    def __init__(self, message: str, problems: Sequence[str]) -> None:
        super().__init__("\n".join((message, *problems)), code="configuration_refused")


class PayloadTooLarge(GatewayError):
    """The request body exceeds the route's limit."""

    status = 413
    type = "invalid_request_error"


class UnsupportedCoding(GatewayError):
    """The request body has a content coding that is not one of `accepted` (RFC 9110 §15.5.16)."""

    status = 415
    type = "invalid_request_error"

    def __init__(self, coding: str, accepted: str) -> None:
        super().__init__(
            f"The request body has the content coding '{coding[:40]}'; send it without one, or with one of {accepted}.",
            code="unsupported_content_coding",
        )
        self._accepted = accepted

    @property
    def headers(self) -> Mapping[str, str]:
        """The codings that a client may use instead."""
        return {"Accept-Encoding": self._accepted}


class RateLimited(GatewayError):
    """The client exceeded a limit of the gateway. `retry_after` is whole seconds, at least 1.

    `why` is the reason for the log, a fixed text per limit.
    """

    status = 429
    type = "rate_limited"

    def __init__(self, message: str, retry_after: int, *, why: str, code: str | None = "rate_limit_exceeded") -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.why = why


class BudgetExceeded(RateLimited):
    """A budget is used up until it opens again. A retry before that fails as well."""

    type = "budget_exceeded"

    def __init__(self, message: str, retry_after: int, *, why: str) -> None:
        super().__init__(message, retry_after, why=why, code="budget_exceeded")


class LockedOut(RateLimited):
    """This client sent too many wrong credentials. The message is recorded."""

    def __init__(self, retry_after: int) -> None:
        message = "Too many failed authentication attempts. Please try again later."
        super().__init__(message, retry_after, why="locked out", code=None)


class Unavailable(GatewayError):
    """The gateway can't serve this request now. The request itself is valid."""

    status = 503
    type = "unavailable"


class Overloaded(Unavailable):
    """The gateway is at a limit of its own memory or work. `retry_after` is whole seconds, at least 1."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, code="overloaded")
        self.retry_after = retry_after


class ToolChoiceUnmet(GatewayError):
    """The model did not make the tool call that `tool_choice` demands. `usage` is what the answer cost, if known."""

    status = 502
    type = "api_error"

    def __init__(self, message: str, *, param: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message, param=param)
        self.usage = usage


class ToolRoundsExhausted(GatewayError):
    """The model still called tools in the last round, which offers none, so there is no answer."""

    status = 502
    type = "api_error"


class ConfigError(Exception):
    """The configuration is invalid. `problems` lists every problem; each one begins with its path."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
