"""Sets the breakpoints of the prompt cache (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).

The provider caches what comes before a breakpoint, in the order tools, system prompt, messages. A client that sets its
own keeps them. Otherwise there is one after the system prompt, and one after each of the latest two user turns, so that
the next request of a conversation reads what this one wrote.
"""

from collections.abc import Iterator
from typing import Any

_MAX_BREAKPOINTS = 4
_USER_TURNS = 2
_HOUR = frozenset({"24h", "1h", "long"})
_NEVER = frozenset({"none", "off"})
_UNCACHED = frozenset({"thinking", "redacted_thinking"})


def add_breakpoints(body: dict[str, Any], retention: str | None) -> None:
    """Mark the request. `retention`: `none` for no cache, `1h`, `24h` or `long` for an hour, else five minutes."""
    own = [block for block in _blocks(body) if "cache_control" in block]
    for block in own[:-_MAX_BREAKPOINTS]:
        del block["cache_control"]
    if own or retention in _NEVER or "cache_control" in body:
        return
    mark = {"type": "ephemeral", "ttl": "1h"} if retention in _HOUR else {"type": "ephemeral"}
    if system := body.get("system"):
        system[-1]["cache_control"] = mark
    elif tools := body.get("tools"):
        tools[-1]["cache_control"] = mark
    users = [message for message in body["messages"] if message["role"] == "user"]
    for message in users[-_USER_TURNS:]:
        content = message["content"]
        if not isinstance(content, list):
            content = message["content"] = [{"type": "text", "text": content}]
        content[-1]["cache_control"] = mark


def _blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that may have a breakpoint, in the order of the cache."""
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for message in body["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] in _UNCACHED:
                continue
            if block["type"] == "tool_result" and isinstance(inner := block.get("content"), list):
                yield from inner
            yield block
