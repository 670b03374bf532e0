"""How long a provider asks to wait, where its error says so in the body and not in a header.

Google's `RetryInfo`, `retry_after` of gateways, and the words of OpenAI, Azure and others: "try again in 1m2.3s".
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.core.upstream_error import UpstreamKind

HINTED = frozenset({UpstreamKind.RATE_LIMITED, UpstreamKind.OVERLOADED})
"""The kinds of failures whose body is searched for a hint."""

_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TIME = r"\d{1,9}(?:\.\d{1,9})? ?(?:ms|milliseconds?|d|days?|h|hours?|m|min|minutes?|s|sec|seconds?)(?![a-z])"
_TEXT = re.compile(rf"\b(?:try again|retry|wait)(?: (?:in|after|for))? ((?:{_TIME}[ ,]?)+)", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?(ms|milli|[dhms])", re.IGNORECASE)
_LASTING = 3600.0  # seconds to stay away from a quota that ends with the day; Google does not say when that is
_MAX_HINT = 86_400.0  # seconds


def retry_hint(fields: Mapping[str, Any], message: str | None) -> float | None:
    """Seconds until a request may be sent again, from an error object and its message; None if neither says it."""
    details = _details(fields)
    hint = _retry_delay(details)
    if hint is None:
        value = fields.get("retry_after")
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            hint = min(value, _MAX_HINT)
    if hint is None and message:
        hint = _in_words(message)
    if _is_daily(details):
        hint = max(hint or 0.0, _LASTING)
    return None if hint is None else min(hint, _MAX_HINT)


def _details(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects in Google's `details`."""
    details = fields.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _retry_delay(details: list[dict[str, Any]]) -> float | None:
    """`RetryInfo.retryDelay`, such as "37s", in seconds."""
    for one in details:
        delay = one.get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return min(float(match[1]), _MAX_HINT)
    return None


def _is_daily(details: list[dict[str, Any]]) -> bool:
    """Whether a quota per day is used up: waiting a minute is of no use."""
    violations = [one.get("violations") for one in details]
    ids = [
        violation.get("quotaId")
        for some in violations
        if isinstance(some, list)
        for violation in some
        if isinstance(violation, dict)
    ]
    return any(isinstance(quota, str) and "PerDay" in quota for quota in ids)


def _in_words(message: str) -> float | None:
    match = _TEXT.search(message)
    if match is None:
        return None
    amounts = _AMOUNT.findall(match[1])
    return sum(float(number) * _UNITS["ms" if unit.lower() == "milli" else unit.lower()] for number, unit in amounts)
