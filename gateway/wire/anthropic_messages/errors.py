"""Anthropic's error object: as the body of a status, in place of a whole answer, or as an event of a stream.

The status decides first, then `error.type` and `error.details.error_code`
(https://platform.claude.com/docs/en/api/errors). The text decides only about context overflow, which has no type.
"""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.failures import default_message, error_object, kind_of_status
from gateway.wire.overflow_text import says_overflow

_BY_TYPE = {
    "invalid_request_error": UpstreamKind.INVALID_REQUEST,
    "authentication_error": UpstreamKind.AUTH,
    "permission_error": UpstreamKind.AUTH,
    "billing_error": UpstreamKind.BILLING,
    "not_found_error": UpstreamKind.NOT_FOUND,
    "request_too_large": UpstreamKind.TOO_LARGE,
    "rate_limit_error": UpstreamKind.RATE_LIMITED,
    "api_error": UpstreamKind.SERVER_ERROR,
    "timeout_error": UpstreamKind.REPORTED_TIMEOUT,
    "overloaded_error": UpstreamKind.OVERLOADED,
}
"""The types of errors in a stream, which has no status of its own any more."""

_BILLING_CODES = frozenset({
    "enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable", "organization_on_hold",
})  # fmt: skip
"""Codes of a 4xx that no retry cures: the account has to be changed."""

_BILLING_TEXT = re.compile(r"credit balance is too low|spend(ing)? limit|usage limits?\b", re.IGNORECASE)
_FILTER_TEXT = re.compile(r"content filtering policy|usage polic(y|ies)", re.IGNORECASE)


def classify(status: int | None, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status (None inside a 200) and the decoded body or event (anything)."""
    fields = error_object(payload)
    message, name, code = (_text(fields.get(key)) for key in ("message", "type", "code"))
    details = fields.get("details")
    code = (_text(details.get("error_code")) if isinstance(details, dict) else None) or code
    kind = _kind(status, name, code, message or "")
    if kind is UpstreamKind.CONTEXT_OVERFLOW:
        code = "context_length_exceeded"
    elif kind is UpstreamKind.CONTENT_FILTER:
        code = "content_filter"
    return UpstreamError(
        kind, message or default_message(status), upstream_status=status, code=code, retry_after=retry_after
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _kind(status: int | None, name: str | None, code: str | None, message: str) -> UpstreamKind:
    named = _BY_TYPE.get(name or "")
    if status is None:
        kind = named or UpstreamKind.SERVER_ERROR
    elif status < 400:
        return UpstreamKind.UNUSABLE
    else:
        kind = UpstreamKind.TOO_LARGE if status == 413 else kind_of_status(status)
    if status is None or status < 500:
        if code in _BILLING_CODES:
            return UpstreamKind.BILLING
        if kind in (UpstreamKind.INVALID_REQUEST, UpstreamKind.TOO_LARGE):
            return _about_the_request(kind, named, message)
    return kind


def _about_the_request(kind: UpstreamKind, named: UpstreamKind | None, message: str) -> UpstreamKind:
    """What a refusal of the request means: a 400 also reports exhausted credit and, after the fact, filtered output."""
    if says_overflow(message):
        return UpstreamKind.CONTEXT_OVERFLOW
    if _BILLING_TEXT.search(message) or named is UpstreamKind.BILLING:
        return UpstreamKind.BILLING
    return UpstreamKind.CONTENT_FILTER if _FILTER_TEXT.search(message) else kind
