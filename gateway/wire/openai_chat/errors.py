"""OpenAI's error object, wherever it comes: as the body of a status, inside a 200, or in the middle of a stream.

Classification goes by status first, then by code and type; the text alone never decides, except for context overflow,
which many servers report with nothing but a sentence (and then only on a 400 or 413).
"""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind

_BY_STATUS = {
    400: UpstreamKind.INVALID_REQUEST,
    401: UpstreamKind.AUTH,
    402: UpstreamKind.BILLING,
    403: UpstreamKind.AUTH,
    404: UpstreamKind.NOT_FOUND,
    408: UpstreamKind.TIMEOUT,
    409: UpstreamKind.SERVER_ERROR,
    413: UpstreamKind.INVALID_REQUEST,
    422: UpstreamKind.INVALID_REQUEST,
    429: UpstreamKind.RATE_LIMITED,
    503: UpstreamKind.OVERLOADED,
    504: UpstreamKind.TIMEOUT,
    529: UpstreamKind.OVERLOADED,
}

_BY_CODE = {
    "context_length_exceeded": UpstreamKind.CONTEXT_OVERFLOW,
    "string_above_max_length": UpstreamKind.CONTEXT_OVERFLOW,
    "exceed_context_size_error": UpstreamKind.CONTEXT_OVERFLOW,
    "content_filter": UpstreamKind.CONTENT_FILTER,
    "content_policy_violation": UpstreamKind.CONTENT_FILTER,
    "insufficient_quota": UpstreamKind.BILLING,
    "billing_hard_limit_reached": UpstreamKind.BILLING,
    "invalid_api_key": UpstreamKind.AUTH,
    "authentication_error": UpstreamKind.AUTH,
    "permission_error": UpstreamKind.AUTH,
    "model_not_found": UpstreamKind.NOT_FOUND,
    "not_found_error": UpstreamKind.NOT_FOUND,
    "rate_limit_exceeded": UpstreamKind.RATE_LIMITED,
    "rate_limit_error": UpstreamKind.RATE_LIMITED,
    "overloaded": UpstreamKind.OVERLOADED,
    "overloaded_error": UpstreamKind.OVERLOADED,
    "timeout": UpstreamKind.TIMEOUT,
    "invalid_request_error": UpstreamKind.INVALID_REQUEST,
}

# Codes that say more than the status that they come with.
_DECISIVE = frozenset(
    {
        UpstreamKind.CONTEXT_OVERFLOW,
        UpstreamKind.CONTENT_FILTER,
        UpstreamKind.BILLING,
    }
)

_OVERFLOW_TEXT = re.compile(
    r"context (length|window|size)|maximum context|too many tokens|prompt is too long", re.IGNORECASE
)


def error_in(error: Any) -> UpstreamError:
    """The `error` that a provider put into a 200 or into its stream; `code` may be an HTTP status (OpenRouter)."""
    code = error.get("code") if isinstance(error, dict) else None
    return classify(code if type(code) is int and 400 <= code < 600 else None, {"error": error})


def classify(status: int | None, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status (None: none was given) and the decoded body (anything)."""
    error = payload.get("error") if isinstance(payload, dict) else None
    fields = error if isinstance(error, dict) else payload if isinstance(payload, dict) else {}
    message = error if isinstance(error, str) else fields.get("message") or fields.get("detail")
    code, kind_name, param = fields.get("code"), fields.get("type"), fields.get("param")
    code = code if isinstance(code, str) else None
    kind = _kind(status, code, kind_name if isinstance(kind_name, str) else None, message)
    if kind is UpstreamKind.CONTEXT_OVERFLOW:
        code = "context_length_exceeded"
    elif kind is UpstreamKind.CONTENT_FILTER:
        code = "content_filter"
    return UpstreamError(
        kind,
        message if isinstance(message, str) and message.strip() else _default_message(status),
        upstream_status=status,
        code=code,
        param=param if isinstance(param, str) else None,
        retry_after=retry_after,
    )


def _kind(status: int | None, code: str | None, kind_name: str | None, message: Any) -> UpstreamKind:
    named = _BY_CODE.get(code or "") or _BY_CODE.get(kind_name or "")
    if status is None:
        return named or UpstreamKind.SERVER_ERROR
    if named in _DECISIVE and status < 500:
        return named
    if status in (400, 413) and isinstance(message, str) and _OVERFLOW_TEXT.search(message):
        return UpstreamKind.CONTEXT_OVERFLOW
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return UpstreamKind.SERVER_ERROR if status >= 500 else UpstreamKind.INVALID_REQUEST


def _default_message(status: int | None) -> str:
    return f"The provider answered with status {status}." if status else "The provider reported an error."
