"""Token counts of one answer, under one set of names whatever the provider calls them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens; `cached` is the part of `prompt` read from a cache, `reasoning` the part of `completion` not shown."""

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int | None = None

    def __add__(self, other: "Usage") -> "Usage":
        known = [count for count in (self.reasoning, other.reasoning) if count is not None]
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.total + other.total,
            self.cached + other.cached,
            sum(known) if known else None,
        )


NO_USAGE = Usage()


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def from_openai(payload: Mapping[str, Any]) -> Usage:
    """OpenAI's `usage` object (https://platform.openai.com/docs/api-reference/chat/object) and its common variants.

    DeepSeek reports `prompt_cache_hit_tokens` at the top level; some servers leave `total_tokens` out.
    """
    prompt = _count(payload.get("prompt_tokens"))
    completion = _count(payload.get("completion_tokens"))
    prompt_details = payload.get("prompt_tokens_details")
    cached = _count(prompt_details.get("cached_tokens")) if isinstance(prompt_details, dict) else 0
    details = payload.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt,
        completion,
        _count(payload.get("total_tokens")) or prompt + completion,
        cached or _count(payload.get("prompt_cache_hit_tokens")),
        reasoning if type(reasoning) is int else None,
    )
