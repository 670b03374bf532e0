"""Decodes `usage` of Anthropic's Messages API (https://platform.claude.com/docs/en/build-with-claude/prompt-caching)."""

from typing import Any

from gateway.core.usage import Usage

_FIELDS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class UsageReader:
    """Collects the counts of one answer. Those of a stream are cumulative, so the largest of each kind counts.

    `input_tokens` excludes what was read from the prompt cache and what was written to it.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def feed(self, payload: Any) -> None:
        """Read a `usage` object; an invalid count is 0."""
        if not isinstance(payload, dict):
            return
        counts = self._counts
        for name in _FIELDS:
            value = payload.get(name)
            if type(value) is int and value >= counts.get(name, 0):
                counts[name] = value
        if isinstance(written := payload.get("cache_creation"), dict):
            self._add("1h", written.get("ephemeral_1h_input_tokens"))
            self._add("5m", written.get("ephemeral_5m_input_tokens"))
        if isinstance(details := payload.get("output_tokens_details"), dict):
            self._add("thinking", details.get("thinking_tokens"))

    @property
    def usage(self) -> Usage | None:
        """The counts so far; None if the provider reported none."""
        counts = self._counts
        if not counts:
            return None
        cached, long = counts.get("cache_read_input_tokens", 0), counts.get("1h", 0)
        written = max(counts.get("cache_creation_input_tokens", 0), long + counts.get("5m", 0))
        prompt = counts.get("input_tokens", 0) + cached + written
        completion = counts.get("output_tokens", 0)
        return Usage(prompt, completion, prompt + completion, cached, counts.get("thinking"), written, long)

    def _add(self, name: str, value: Any) -> None:
        if type(value) is int and value >= 0:
            self._counts[name] = max(value, self._counts.get(name, 0))


def usage_object(usage: Usage) -> dict[str, Any]:
    """The client's `usage`. `input_tokens` excludes what was read from the prompt cache and what was written to it."""
    counts: dict[str, Any] = {
        "input_tokens": max(usage.prompt - usage.cached - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    }
    if usage.reasoning is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts


def whole_usage(usage: Usage) -> dict[str, Any]:
    """The client's `usage` of a whole message, with how long the cache stores what was written to it."""
    written = {
        "ephemeral_5m_input_tokens": max(usage.cache_write - usage.cache_write_1h, 0),
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }
    return {**usage_object(usage), "cache_creation": written}
