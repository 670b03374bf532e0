"""Malformed request bodies: deterministic mutations of valid ones, of their values and of their bytes."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

PNG = "data:image/png;base64,iVBORw0KGgo="
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
_CHAT: list[Any] = [
    {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": {}},
    {
        "model": "openclaw",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "hi"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]},
            {"role": "assistant", "content": None, "tool_calls": [_CALL], "refusal": None},
            {"role": "tool", "tool_call_id": "call_1", "content": "5C"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "get_weather", "parameters": _PARAMETERS, "strict": True}},
            {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _PARAMETERS}},
        "stop": ["a", "b"],
        "logit_bias": {"5": 1},
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 7,
        "n": 1,
        "reasoning_effort": "low",
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
    },
]
_ITEMS: list[Any] = [
    {"role": "user", "content": "hi"},
    {"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": PNG, "detail": "auto"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "x"},
    {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}", "namespace": "n"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "5C"}]},
    {"type": "custom_tool_call", "call_id": "d", "name": "patch", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "d", "output": "y"},
    {"type": "local_shell_call", "call_id": "e", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "local_shell_call_output", "call_id": "e", "output": "z"},
    {"type": "apply_patch_call", "call_id": "f", "operation": {"type": "delete_file", "path": "a"}},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "mcp_call", "name": "m", "server_label": "s", "arguments": "{}", "output": "o"},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "item_reference", "id": "msg_resp_1_0"},
    {"type": "additional_tools", "tools": [{"type": "function", "name": "g"}]},
]
_TOOLS: list[Any] = [
    {"type": "function", "name": "get_weather", "parameters": _PARAMETERS, "strict": True},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "get_weather"}]},
    {"type": "local_shell"},
    {"type": "web_search"},
]
_RESPONSES: list[Any] = [
    {"model": "openclaw", "input": "hi", "stream": True, "instructions": "be brief", "store": False},
    {
        "model": "openclaw",
        "input": _ITEMS[:13],
        "tools": _TOOLS,
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
        "text": {"format": {"type": "json_schema", "name": "x", "schema": _PARAMETERS}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "metadata": {"a": "b"},
        "max_output_tokens": 99,
        "temperature": 0.5,
        "top_logprobs": 2,
        "store": False,
        "truncation": "auto",
    },
    *({"model": "openclaw", "input": [{"role": "user", "content": "hi"}, item], "store": False} for item in _ITEMS),
    *({"model": "openclaw", "input": "hi", "tools": [tool], "tool_choice": "required"} for tool in _TOOLS),
]
_EMBEDDINGS: list[Any] = [
    {"model": "openclaw", "input": "hi", "encoding_format": "base64", "dimensions": 2},
    {"model": "openclaw", "input": ["a", "b"], "user": "ann"},
]
_MESSAGES: list[Any] = [
    {"model": "openclaw", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True},
    {
        "model": "openclaw",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "c2ln"},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "5C"}]},
        ],
        "tools": [{"name": "get_weather", "input_schema": _PARAMETERS, "description": "d"}],
        "tool_choice": {"type": "tool", "name": "get_weather"},
        "stop_sequences": ["a"],
        "temperature": 0.5,
        "thinking": {"type": "disabled"},
        "metadata": {"user_id": "u"},
    },
]
BODIES = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _RESPONSES,
    "/v1/responses/compact": _RESPONSES[:2],
    "/v1/responses/input_tokens": _RESPONSES,
    "/v1/embeddings": _EMBEDDINGS,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _MESSAGES,
}


def _deep(random: Random) -> Any:
    value: Any = "x"
    for _ in range(random.choice((20, 200))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


_VALUES: list[Callable[[Random], Any]] = [
    *(lambda _, value=value: value for value in (None, True, False, 0, -1, 1.5, 2**53, 10**400, 1e308, float("nan"))),  # type: ignore[misc]
    *(
        lambda _, value=value: value
        for value in ("", " ", "x", "x" * 5000, "\ud800", "\x00", "null", "\u202e", "openclaw/x")
    ),  # type: ignore[misc]
    lambda _: [],
    lambda _: {},
    lambda _: [None],
    lambda _: {"": None},
    lambda _: {"type": "function"},
    _deep,
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _change(random: Random, body: Any) -> Any:
    """The body with one value changed."""
    path = random.choice(list(_paths(body)))
    if not path:
        return random.choice(_VALUES)(random) if random.random() < 0.1 else body
    parent, step = _at(body, path[:-1]), path[-1]
    match random.randrange(6):
        case 0 | 1 | 2:
            parent[step] = random.choice(_VALUES)(random)
        case 3:
            del parent[step]
        case 4:
            other = random.choice(list(_paths(body)))
            parent[step] = copy.deepcopy(_at(body, other))
        case _:
            if isinstance(parent, list):
                parent.insert(step, copy.deepcopy(parent[step]))
            else:
                parent[random.choice((step + "x", step.upper(), "type", "content", "id"))] = parent[step]
    return body


def _damage(random: Random, data: bytes) -> bytes:
    """The bytes with one part changed."""
    at = random.randrange(len(data) + 1)
    length = random.randrange(1, 20)
    match random.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + random.randbytes(length) + data[at:]
        case 2:
            return data[:at] + data[at + length :]
        case 3:
            return data[:at] + data[at : at + length] + data[at:]
        case _:
            return random.choice((b"\xef\xbb\xbf", b"\x00", b"[" * 5000, b'"', b"1e999", b"")) + data


def mutations(count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """`count` paths with malformed bodies, the same for the same seed. Some of them are valid after all."""
    random = Random(seed)  # noqa: S311  the same mutations in every run
    for number in range(count):
        path = list(BODIES)[number % len(BODIES)]
        body = copy.deepcopy(random.choice(BODIES[path]))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            body = _change(random, body)
        data = json.dumps(body).encode()
        yield path, _damage(random, data) if random.random() < 0.25 else data
