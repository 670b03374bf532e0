"""Decodes Bedrock's `TokenUsage`."""

from typing import Any

from gateway.core.usage import Usage


def read_usage(payload: Any) -> Usage | None:
    """The counts; None if the provider reported none. `inputTokens` excludes reads and writes of the prompt cache."""
    if not isinstance(payload, dict) or "inputTokens" not in payload:
        return None
    cached, written = _count(payload.get("cacheReadInputTokens")), _count(payload.get("cacheWriteInputTokens"))
    details = payload.get("cacheDetails")
    long = sum(
        _count(one.get("inputTokens"))
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict) and one.get("ttl") == "1h"
    )
    prompt, completion = _count(payload.get("inputTokens")) + cached + written, _count(payload.get("outputTokens"))
    return Usage(prompt, completion, prompt + completion, cached, None, written, long)


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
