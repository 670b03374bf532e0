"""Decodes `usageMetadata`."""

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Usage


def read_usage(payload: Mapping[str, Any]) -> Usage:
    """The counts of one answer; thoughts count as output, results of Google's own tools as input."""
    prompt = _count(payload, "promptTokenCount") + _count(payload, "toolUsePromptTokenCount")
    thoughts = payload.get("thoughtsTokenCount")
    completion = _count(payload, "candidatesTokenCount") + _count(payload, "thoughtsTokenCount")
    return Usage(
        prompt,
        completion,
        prompt + completion,
        _count(payload, "cachedContentTokenCount"),
        thoughts if type(thoughts) is int else None,
    )


def _count(payload: Mapping[str, Any], name: str) -> int:
    value = payload.get(name)
    return value if type(value) is int and value > 0 else 0
