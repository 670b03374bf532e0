"""Ollama's errors: `{"error": "text"}` as the body of a status, or as a line of a stream at status 200.

There are no codes, so the text decides, together with the status.
"""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.failures import default_message, kind_of_status
from gateway.wire.overflow_text import OVERFLOW_TEXT

_BY_TEXT: tuple[tuple[re.Pattern[str], UpstreamKind, str | None], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, code)
    for pattern, kind, code in (
        (
            OVERFLOW_TEXT,
            UpstreamKind.CONTEXT_OVERFLOW,
            "context_length_exceeded",
        ),
        (
            r"\bmodel\b.*\bnot found\b|try pulling it first|\bno such model\b|pull model manifest",
            UpstreamKind.NOT_FOUND,
            "model_not_found",
        ),
        (r"server busy|maximum pending requests|overloaded|at capacity", UpstreamKind.OVERLOADED, None),
        (r"usage limit|rate.?limit|too many (concurrent )?requests", UpstreamKind.RATE_LIMITED, "rate_limit_exceeded"),
        (r"requires a subscription|upgrade (for|to) ", UpstreamKind.BILLING, None),
        (r"\bunauthorized\b|invalid api key|not signed in", UpstreamKind.AUTH, None),
        (r"does not support|invalid (image|think|format|option)", UpstreamKind.INVALID_REQUEST, None),
    )
)

_ABOUT_THE_REQUEST = frozenset({400, 404, 413, 422})
_NOT_BY_TEXT = frozenset({401, 403})


def error_in(payload: dict[str, Any]) -> UpstreamError:
    """The failure that a line of a stream, or the body of a 200, reports."""
    status = payload.get("status_code", payload.get("StatusCode"))
    return classify(status if type(status) is int and 400 <= status < 600 else None, payload)


def classify(status: int | None, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status (None: none was given) and the decoded body (anything)."""
    message = _message(payload)
    kind, code = _kind(status, message or "")
    return UpstreamError(
        kind, message or default_message(status), upstream_status=status, code=code, retry_after=retry_after
    )


def _message(payload: Any) -> str | None:
    """The text; a proxy may put an object where Ollama has a text."""
    if not isinstance(payload, dict):
        return None
    error = payload.get("error", payload.get("message", payload.get("detail")))
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) and error.strip() else None


def _kind(status: int | None, message: str) -> tuple[UpstreamKind, str | None]:
    named = next(((kind, code) for pattern, kind, code in _BY_TEXT if pattern.search(message)), None)
    if status is None:
        return named or (UpstreamKind.SERVER_ERROR, None)
    by_status = kind_of_status(status)
    if named is None or status < 400 or status in _NOT_BY_TEXT:
        return by_status, None
    kind = named[0]
    match kind:
        # Runners report an overflow as their own failure.
        case UpstreamKind.CONTEXT_OVERFLOW if status in _ABOUT_THE_REQUEST or status == 500:
            return named
        case UpstreamKind.NOT_FOUND | UpstreamKind.INVALID_REQUEST if status in _ABOUT_THE_REQUEST:
            return named
        case UpstreamKind.OVERLOADED | UpstreamKind.RATE_LIMITED | UpstreamKind.BILLING if status not in (400, 404):
            return named
        case _:
            return by_status, None
