"""Google's errors: https://google.aip.dev/193, sometimes in a list; and why an answer or a prompt was stopped."""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.failures import default_message, error_object, kind_of_status
from gateway.wire.overflow_text import says_overflow
from gateway.wire.retry_hint import HINTED, retry_hint

_BY_NAME = {
    "UNAUTHENTICATED": UpstreamKind.AUTH,
    "PERMISSION_DENIED": UpstreamKind.AUTH,
    "FAILED_PRECONDITION": UpstreamKind.BILLING,  # no billing for this region, or a region without the API
    "NOT_FOUND": UpstreamKind.NOT_FOUND,
    "RESOURCE_EXHAUSTED": UpstreamKind.RATE_LIMITED,
    "INVALID_ARGUMENT": UpstreamKind.INVALID_REQUEST,
    "OUT_OF_RANGE": UpstreamKind.INVALID_REQUEST,
    "UNIMPLEMENTED": UpstreamKind.INVALID_REQUEST,
    "UNAVAILABLE": UpstreamKind.OVERLOADED,
    "DEADLINE_EXCEEDED": UpstreamKind.REPORTED_TIMEOUT,
    "INTERNAL": UpstreamKind.SERVER_ERROR,
    "ABORTED": UpstreamKind.SERVER_ERROR,
    "CANCELLED": UpstreamKind.SERVER_ERROR,
    "UNKNOWN": UpstreamKind.SERVER_ERROR,
}
_BAD_KEY = frozenset({
    "API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED",
    "API_KEY_IP_ADDRESS_BLOCKED", "ACCOUNT_STATE_INVALID", "SERVICE_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED",
})  # fmt: skip
_BAD_KEY_TEXT = re.compile(r"\bAPI key\b.*\b(not valid|invalid|expired|not found|leaked)", re.IGNORECASE)
_NO_REGION = re.compile(r"location is not supported|enable billing|billing account", re.IGNORECASE)

FILTERED = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "JAILBREAK", "LANGUAGE",
})  # fmt: skip
"""Reasons of an end that say that a filter stopped the answer."""


def failed(reason: str, explanation: str | None) -> UpstreamError:
    """The error for an answer whose end is a failure of the model, which may do better next time."""
    suffix = f": {explanation}" if explanation else "."
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider ended its answer with {reason}{suffix}")


def blocked(reason: str, explanation: str | None) -> UpstreamError:
    """The error for a prompt that a filter stopped."""
    suffix = f": {explanation}" if explanation else "."
    return UpstreamError(
        UpstreamKind.CONTENT_FILTER, f"The provider blocked the prompt ({reason}){suffix}", code="content_filter"
    )


def error_in(error: Any) -> UpstreamError:
    """The `error` that came inside a 200, whole or in the middle of a stream."""
    code = error.get("code") if isinstance(error, dict) else None
    return classify(code if type(code) is int and 400 <= code < 600 else None, {"error": error})


def classify(status: int | None, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status (None: none was given) and the decoded body (anything)."""
    fields = error_object(payload)
    message = fields.get("message")
    message = message if isinstance(message, str) and message.strip() else None
    kind, code = _kind(status, fields.get("status"), _details(fields), message or "")
    hint = retry_hint(fields, message) if kind in HINTED else None
    return UpstreamError(
        kind,
        message or default_message(status),
        upstream_status=status,
        code=code,
        retry_after=hint if hint is not None else retry_after,
    )


def _details(fields: dict[str, Any]) -> list[dict[str, Any]]:
    details = fields.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _kind(
    status: int | None, name: Any, details: list[dict[str, Any]], message: str
) -> tuple[UpstreamKind, str | None]:
    named = _BY_NAME.get(name) if isinstance(name, str) else None
    if status is not None and status < 400:
        return kind_of_status(status), None
    refused = status is None or status in (400, 403)
    if refused and (any(one.get("reason") in _BAD_KEY for one in details) or _BAD_KEY_TEXT.search(message)):
        return UpstreamKind.AUTH, "invalid_api_key"
    if status in (None, 400, 413) and says_overflow(message):
        return UpstreamKind.CONTEXT_OVERFLOW, "context_length_exceeded"
    if refused and _NO_REGION.search(message):
        return UpstreamKind.BILLING, None
    kind = named or (UpstreamKind.SERVER_ERROR if status is None else kind_of_status(status))
    # A name that the status contradicts says nothing.
    if status is not None and named is not None and (status >= 500) != (named in _OF_SERVERS):
        kind = kind_of_status(status)
    return kind, "model_not_found" if kind is UpstreamKind.NOT_FOUND else None


_OF_SERVERS = frozenset({UpstreamKind.OVERLOADED, UpstreamKind.REPORTED_TIMEOUT, UpstreamKind.SERVER_ERROR})
