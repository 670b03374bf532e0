"""Sets the breakpoints of the prompt cache (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).

The provider caches what comes before a breakpoint, in the order tools, system prompt, messages. A client that sets its
own keeps them. Otherwise there is one after the system prompt, and one after each of the latest two user turns, so that
the next request of a conversation reads what this one wrote.
"""

from typing import Any

from gateway.wire.prompt_cache import cache_control

_MAX_BREAKPOINTS = 4
_USER_TURNS = 2
_UNCACHED = frozenset({"thinking", "redacted_thinking"})


def add_breakpoints(body: dict[str, Any], retention: str | None) -> None:
    """Mark the request, for as long as `retention` says (`prompt_cache.lifetime`)."""
    if own := [block for block in _blocks(body) if "cache_control" in block]:
        for block in own[:-_MAX_BREAKPOINTS]:
            del block["cache_control"]
        return
    mark = cache_control(retention)
    if mark is None or "cache_control" in body:
        return
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


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that may have a breakpoint, in the order of the cache."""
    blocks = [*body.get("tools", ()), *body.get("system", ())]
    for message in body["messages"]:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            kind = block["type"]
            if kind in _UNCACHED:
                continue
            if kind == "tool_result" and isinstance(inner := block.get("content"), list):
                blocks += inner
            blocks.append(block)
    return blocks
