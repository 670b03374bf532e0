"""OpenAI's error object, wherever it comes: as the body of a status, inside a 200, or in the middle of a stream.

Classification goes by status first, then by code and type. The text decides only where servers report nothing else,
and only on the status with which they do: context overflow (400, 413), a rate limit reported as 413, a request that was
moderated or is too large for the account reported as 402 or 403.
"""

import re
from typing import Any

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.error_reason import reason_in
from gateway.wire.failures import default_message, error_object, kind_of_status
from gateway.wire.overflow_text import says_overflow
from gateway.wire.retry_hint import HINTED, retry_hint

_BY_CODE = {
    "context_length_exceeded": UpstreamKind.CONTEXT_OVERFLOW,
    "exceed_context_size_error": UpstreamKind.CONTEXT_OVERFLOW,
    "content_filter": UpstreamKind.CONTENT_FILTER,
    "content_policy_violation": UpstreamKind.CONTENT_FILTER,
    "moderation_blocked": UpstreamKind.CONTENT_FILTER,
    "data_inspection_failed": UpstreamKind.CONTENT_FILTER,  # Qwen
    "1301": UpstreamKind.CONTENT_FILTER,  # Z.AI
    "insufficient_quota": UpstreamKind.BILLING,
    "billing_hard_limit_reached": UpstreamKind.BILLING,
    "billing_not_active": UpstreamKind.BILLING,
    "exceeded_current_quota_error": UpstreamKind.BILLING,  # Moonshot, as 429
    "Arrearage": UpstreamKind.BILLING,  # Qwen, as 400
    "1113": UpstreamKind.BILLING,  # Z.AI, as 429
    "invalid_api_key": UpstreamKind.AUTH,
    "authentication_error": UpstreamKind.AUTH,
    "permission_error": UpstreamKind.AUTH,
    "model_not_found": UpstreamKind.NOT_FOUND,
    "not_found_error": UpstreamKind.NOT_FOUND,
    "rate_limit_exceeded": UpstreamKind.RATE_LIMITED,
    "rate_limit_error": UpstreamKind.RATE_LIMITED,
    "overloaded": UpstreamKind.OVERLOADED,
    "overloaded_error": UpstreamKind.OVERLOADED,
    "timeout": UpstreamKind.REPORTED_TIMEOUT,
    "invalid_request_error": UpstreamKind.INVALID_REQUEST,
    # Of responses that failed: https://platform.openai.com/docs/api-reference/responses/object
    "invalid_prompt": UpstreamKind.INVALID_REQUEST,
    "invalid_image": UpstreamKind.INVALID_REQUEST,
    "invalid_image_format": UpstreamKind.INVALID_REQUEST,
    "invalid_image_url": UpstreamKind.INVALID_REQUEST,
    "invalid_base64_image": UpstreamKind.INVALID_REQUEST,
    "failed_to_download_image": UpstreamKind.INVALID_REQUEST,
    "image_too_large": UpstreamKind.INVALID_REQUEST,
    "image_too_small": UpstreamKind.INVALID_REQUEST,
    "image_parse_error": UpstreamKind.INVALID_REQUEST,
    "image_file_too_large": UpstreamKind.INVALID_REQUEST,
    "unsupported_image_media_type": UpstreamKind.INVALID_REQUEST,
    "image_content_policy_violation": UpstreamKind.CONTENT_FILTER,
    "bio_policy": UpstreamKind.CONTENT_FILTER,
    "cyber_policy": UpstreamKind.CONTENT_FILTER,
    "misalignment_policy_violation": UpstreamKind.CONTENT_FILTER,
    "server_is_overloaded": UpstreamKind.OVERLOADED,
    "slow_down": UpstreamKind.OVERLOADED,
}

# Codes that say more than the status that they come with.
_DECISIVE = frozenset(
    {
        UpstreamKind.CONTEXT_OVERFLOW,
        UpstreamKind.CONTENT_FILTER,
        UpstreamKind.BILLING,
    }
)

_RATE_TEXT = re.compile(
    r"tokens per (minute|hour|day)|requests per (minute|hour|day)|rate.?limit|\bTPM\b", re.IGNORECASE
)
_MODERATION_TEXT = re.compile(
    r"(input|prompt|content|request|message)s?\b.{0,30}\bflagged|\bmoderat|(content|usage) polic|safety system",
    re.IGNORECASE,
)
_SIZE_TEXT = re.compile(r"fewer max_tokens|can only afford|request (is )?too large|prompt tokens limit", re.IGNORECASE)
# At the beginning of a message, because a provider may quote the prompt after it.
_NO_CREDIT_TEXT = re.compile(r"(your )?credit balance is too low|insufficient (account )?balance", re.IGNORECASE)
_NO_MODEL_TEXT = re.compile(
    r"[\w./:@-]{1,100} is not a valid model id\b|model not exist|invalid model(:| ['\"`])|模型不存在"
    r"|(the )?model [`'\"]?[\w./:@-]{1,100}[`'\"]? (does not exist|not found|is not found)",
    re.IGNORECASE,
)
_LONG_STRING = "string_above_max_length"  # OpenAI: "Invalid 'messages[2].tool_calls[0].id': string too long."
_PATH = re.compile(r"Invalid '([\w.\[\]]{1,200})'")
_PROMPT_TEXT = re.compile(r"(?:^|\.)(?:content|text|input|output|instructions)(?:\[\d+\])*$")
_BAD_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCOUNT_STATE_INVALID"})


def error_in(error: Any) -> UpstreamError:
    """The `error` that a provider put into a 200 or into its stream.

    `code` may be an HTTP status: a number (OpenRouter, vLLM) or a text (LiteLLM).
    """
    return classify(status_of(error.get("code")) if isinstance(error, dict) else None, {"error": error})


def status_of(value: Any) -> int | None:
    """The HTTP status of a failure that a field of an error object holds, as a number or a text; None if it is none."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) == len("400") else value
    return number if type(number) is int and 400 <= number < 600 else None


def classify(status: int | None, payload: Any, *, retry_after: float | None = None) -> UpstreamError:
    """One UpstreamError from the HTTP status (None: none was given) and the decoded body (anything)."""
    fields = error_object(payload)
    message = reason_in(payload)
    code, param = fields.get("code"), fields.get("param")
    code = code if isinstance(code, str) else None
    kind = _kind(status, code, fields, message or "")
    if kind is UpstreamKind.CONTEXT_OVERFLOW:
        code = "context_length_exceeded"
    elif kind is UpstreamKind.CONTENT_FILTER:
        code = "content_filter"
    if retry_after is None and kind in HINTED:
        retry_after = retry_hint(fields, message)
    return UpstreamError(
        kind,
        message or default_message(status),
        upstream_status=status,
        code=code,
        param=param if isinstance(param, str) else None,
        retry_after=retry_after,
    )


def _kind(status: int | None, code: str | None, fields: dict[str, Any], message: str) -> UpstreamKind:
    named = _named(code, fields, message)
    if status is None:  # LM Studio refuses a prompt in its stream
        return named or (UpstreamKind.CONTEXT_OVERFLOW if says_overflow(message) else UpstreamKind.SERVER_ERROR)
    if status < 400:
        return UpstreamKind.UNUSABLE
    if status < 500 and named is not None and named in _DECISIVE:
        return named
    if status < 500 and _reasons(fields) & _BAD_KEY_REASONS:
        return UpstreamKind.AUTH
    match status:
        case 413 if named is UpstreamKind.RATE_LIMITED or _RATE_TEXT.search(message):
            return UpstreamKind.RATE_LIMITED
        case 400 | 413 if says_overflow(message):
            return UpstreamKind.CONTEXT_OVERFLOW
        case 400 | 429 if _NO_CREDIT_TEXT.match(message):
            return UpstreamKind.BILLING
        case 400 if named is UpstreamKind.NOT_FOUND or _NO_MODEL_TEXT.match(message):
            return UpstreamKind.NOT_FOUND
        case 402 | 403 if _moderated(fields) or _MODERATION_TEXT.search(message):
            return UpstreamKind.CONTENT_FILTER
        case 402 | 403 if _SIZE_TEXT.search(message):
            return UpstreamKind.TOO_LARGE
        case _:
            return kind_of_status(status)


def _named(code: str | None, fields: dict[str, Any], message: str) -> UpstreamKind | None:
    """What code and type say. One string that is too long is an overflow only if it is a text of the prompt."""
    if code == _LONG_STRING:
        param = fields.get("param")
        quoted = _PATH.search(message)
        path = param if isinstance(param, str) else quoted[1] if quoted else ""
        return UpstreamKind.CONTEXT_OVERFLOW if _PROMPT_TEXT.search(path) else UpstreamKind.INVALID_REQUEST
    kind_name = fields.get("type")
    return _BY_CODE.get(code or "") or _BY_CODE.get(kind_name if isinstance(kind_name, str) else "")


def _reasons(fields: dict[str, Any]) -> frozenset[str]:
    """The machine-readable reasons in Google's `details`."""
    details = fields.get("details")
    if not isinstance(details, list):
        return frozenset()
    reasons = (detail.get("reason") for detail in details if isinstance(detail, dict))
    return frozenset(reason for reason in reasons if isinstance(reason, str))


def _moderated(fields: dict[str, Any]) -> bool:
    """Whether OpenRouter's `metadata` says that the input was flagged."""
    metadata = fields.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("flagged_input") or metadata.get("reasons"))
