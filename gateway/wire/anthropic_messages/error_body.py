"""An error as Anthropic's clients know it (https://platform.claude.com/docs/en/api/errors)."""

from typing import Any

from gateway.core.errors import BudgetExceeded, GatewayError, ToolChoiceUnmet, ToolRoundsExhausted
from gateway.wire.anthropic_messages.overflow import overflow_text

_STATUSES = {503: 529}
"""Anthropic reports an overloaded server as 529, and clients treat it as such."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_RETRIED = frozenset({408, 409, 429})
_FINAL = (BudgetExceeded, ToolChoiceUnmet, ToolRoundsExhausted)


def error_status(error: GatewayError) -> int:
    """The status for a client of this format. An unknown agent is a model that does not exist."""
    if error.code == "unknown_agent":
        return 404
    return _STATUSES.get(error.status, error.status)


def may_retry(error: GatewayError) -> bool:
    """Whether the same request may succeed soon. A key that the provider refuses, a budget that is used up, or a call
    that its model did not make, costs again without a chance.
    """
    transient = error.status in _RETRIED or error.status >= 500
    return transient and error.type != "upstream_auth_error" and not isinstance(error, _FINAL)


def error_body(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """The error object. `details` has the gateway's code and the field that is wrong."""
    status = error_status(error)
    message = overflow_text(error.message) if error.code == "context_length_exceeded" else error.message
    described: dict[str, Any] = {"type": _TYPES.get(status, "api_error"), "message": message}
    details = {name: value for name, value in (("error_code", error.code), ("param", error.param)) if value is not None}
    if details:
        described["details"] = details
    return {"type": "error", "error": described, "request_id": request_id}
