"""Sets breakpoints of Anthropic's prompt cache in chat completions (`compat.cacheControlFormat: "anthropic"`).

OpenRouter passes them on to Claude, which caches nothing without
(https://openrouter.ai/docs/features/prompt-caching); other servers take the same field. It stands at parts of type
`text`, and at tools. The breakpoints are those of the Messages API: after the system prompt, or after the tools if
there is none, and after each of the latest two turns of the user, results of tools included. A client that sets its own
keeps them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.raw_text import is_empty
from gateway.wire.prompt_cache import cache_control

_FIELD = "cache_control"
_MAX_BREAKPOINTS = 4
_USER_TURNS = 2


def add_breakpoints(body: dict[str, Any], retention: str | None) -> None:
    """Mark the request, for as long as `retention` says (`prompt_cache.lifetime`)."""
    own = [item for item in _markable(body) if _FIELD in item]
    for item in own[:-_MAX_BREAKPOINTS]:
        del item[_FIELD]
    mark = cache_control(retention)
    if own or mark is None or _FIELD in body:
        return
    if not _mark_system(body["messages"], mark) and (tools := body.get("tools")):
        tools[-1][_FIELD] = mark
    for message in _ends_of_user_turns(body["messages"]):
        _mark(message, mark)


def _mark_system(messages: list[dict[str, Any]], mark: Mapping[str, Any]) -> bool:
    """Mark the last system message before the conversation that has text; False if there is none."""
    leading = []
    for message in messages:
        if message["role"] not in ("system", "developer"):
            break
        leading.append(message)
    return any(_mark(message, mark) for message in reversed(leading))


def _ends_of_user_turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last message of each of the latest turns of the user, the latest first."""
    ends: list[dict[str, Any]] = []
    is_inside = False
    for message in reversed(messages):
        is_users = message["role"] in ("user", "tool")
        if is_users and not is_inside:
            ends.append(message)
            if len(ends) == _USER_TURNS:
                break
        is_inside = is_users
    return ends


def _mark(message: dict[str, Any], mark: Mapping[str, Any]) -> bool:
    """Mark the last text of a message; False if it has none, since an empty one is refused."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [part for part in content if part.get("type") == "text" and not is_empty(part["text"])]
        if texts:
            texts[-1][_FIELD] = mark
        return bool(texts)
    if content is None or is_empty(content):
        return False
    message["content"] = [{"type": "text", "text": content, _FIELD: mark}]
    return True


def _markable(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that a client may have marked, in the order of the cache."""
    yield from body.get("tools", ())
    for message in body["messages"]:
        if isinstance(content := message.get("content"), list):
            yield from content
