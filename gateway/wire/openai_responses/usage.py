"""Decodes `usage` of a response (https://platform.openai.com/docs/api-reference/responses/object)."""

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Usage


def read_usage(payload: Mapping[str, Any]) -> Usage:
    """A provider's token counts; an invalid or missing count is 0. The prompt's count includes cached tokens."""
    prompt, completion = _count(payload, "input_tokens"), _count(payload, "output_tokens")
    cached = payload.get("input_tokens_details")
    details = payload.get("output_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt,
        completion,
        _count(payload, "total_tokens") or prompt + completion,
        _count(cached, "cached_tokens"),
        reasoning if type(reasoning) is int else None,
        _count(cached, "cache_write_tokens"),
    )


def _count(fields: Any, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if type(value) is int and value > 0 else 0
