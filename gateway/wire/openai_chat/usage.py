"""Decodes and encodes OpenAI's `usage` object (https://platform.openai.com/docs/api-reference/chat/object)."""

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Usage


def read_usage(payload: Mapping[str, Any]) -> Usage:
    """A provider's token counts, in any of their common variants; an invalid count is 0.

    DeepSeek reports `prompt_cache_hit_tokens` at the top level; some servers omit `total_tokens`. xAI counts reasoning
    beside `completion_tokens`, which its total shows; here the completion includes it.
    """
    get = payload.get
    prompt, completion = _count(get("prompt_tokens")), _count(get("completion_tokens"))
    cached = cache_write = 0
    if isinstance(prompt_details := get("prompt_tokens_details"), dict):
        cached = _count(prompt_details.get("cached_tokens"))
        cache_write = _count(prompt_details.get("cache_write_tokens"))
    details = get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    total = _count(get("total_tokens"))
    if (beside := _count(reasoning)) and total == prompt + completion + beside:
        completion += beside
    return Usage(
        prompt,
        completion,
        total or prompt + completion,
        cached or _count(get("prompt_cache_hit_tokens")),
        reasoning if type(reasoning) is int else None,
        cache_write,
        others=None if payload.keys() <= _COUNTS else _others(payload),
    )


_PROMPT_DETAILS = frozenset({"cached_tokens", "cache_write_tokens"})
_COMPLETION_DETAILS = frozenset({"reasoning_tokens"})
_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"})
_DETAILS = {"prompt_tokens_details": _PROMPT_DETAILS, "completion_tokens_details": _COMPLETION_DETAILS}


def _others(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields that `Usage` has no place for, below their names; null means absent."""
    others: dict[str, Any] = {}
    for name, value in payload.items():
        if value is None or name in _COUNTS:
            continue
        if (known := _DETAILS.get(name)) is None:
            others[name] = value
        elif isinstance(value, dict):
            details = {field: count for field, count in value.items() if field not in known and count is not None}
            if details:
                others[name] = details
    return others or None


def _count(value: Any) -> int:
    if type(value) is float and value.is_integer() and value < 2**53:  # of servers that know no other numbers
        value = int(value)
    return value if type(value) is int and value > 0 else 0


def usage_object(usage: Usage) -> dict[str, Any]:
    """The client's `usage`; details appear only when the provider reported them, as in OpenClaw."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }
    if usage.cached or usage.cache_write:
        details = {"cached_tokens": usage.cached}
        counts["prompt_tokens_details"] = details
        if usage.cache_write:
            details["cache_write_tokens"] = usage.cache_write
    if usage.reasoning is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    for name, value in (usage.others or {}).items():
        known = counts.get(name)
        counts[name] = {**value, **known} if isinstance(known, dict) and isinstance(value, dict) else value
    return counts
