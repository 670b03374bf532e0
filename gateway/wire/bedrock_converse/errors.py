"""Bedrock's errors: as the body of a status, or as an exception in a stream that began with the status 200.

The body of a status has only a message, so the status decides, and the text about context overflow.
"""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.failures import default_message, kind_of_status
from gateway.wire.overflow_text import says_overflow

_BY_EXCEPTION = {
    "throttlingException": UpstreamKind.RATE_LIMITED,
    "modelStreamErrorException": UpstreamKind.SERVER_ERROR,
    "internalServerException": UpstreamKind.SERVER_ERROR,
    "serviceUnavailableException": UpstreamKind.OVERLOADED,
    "validationException": UpstreamKind.INVALID_REQUEST,
    "modelTimeoutException": UpstreamKind.REPORTED_TIMEOUT,
}
_QUOTA_TEXT = re.compile(r"quota|too many tokens per day", re.IGNORECASE)


def classify(status: int, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status and the decoded body (anything)."""
    message = _message(payload)
    kind = UpstreamKind.TOO_LARGE if status == 413 else kind_of_status(status)
    return _error(kind, message or default_message(status), message or "", status, retry_after)


def exception(name: str, payload: Any) -> UpstreamError:
    """The failure that an exception of a stream reports."""
    message = _message(payload)
    kind = _BY_EXCEPTION.get(name[:1].lower() + name[1:], UpstreamKind.SERVER_ERROR)
    return _error(kind, message or default_message(None), message or "", None, None)


def _message(payload: Any) -> str | None:
    fields = payload if isinstance(payload, dict) else {}
    text = fields.get("message") or fields.get("Message")
    return text if isinstance(text, str) and text.strip() else None


def _error(
    kind: UpstreamKind, message: str, words: str, status: int | None, retry_after: float | None
) -> UpstreamError:
    code = None
    if kind is UpstreamKind.INVALID_REQUEST and says_overflow(words):
        kind, code = UpstreamKind.CONTEXT_OVERFLOW, "context_length_exceeded"
    elif kind is UpstreamKind.INVALID_REQUEST and _QUOTA_TEXT.search(words):
        kind = UpstreamKind.BILLING  # ServiceQuotaExceededException
    return UpstreamError(kind, message, upstream_status=status, code=code, retry_after=retry_after)
