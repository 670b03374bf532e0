"""Any request is decoded or refused, and a decoded one can be stored and sent in every format, or is refused there."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps, loads
from gateway.core.message_json import read_messages, write_messages
from gateway.core.upstream_error import UpstreamError
from gateway.wire import UPSTREAMS
from gateway.wire.anthropic_messages.client_tools import DECLARED
from gateway.wire.anthropic_messages.ingress import MessagesIngress
from gateway.wire.function_tools import as_functions
from gateway.wire.model import ModelSpec

IMAGE = {"type": "base64", "media_type": "image/png", "data": "QQ=="}
BLOCKS: dict[str, dict[str, Any]] = {
    "text": {"text": "hi"},
    "image": {"source": IMAGE},
    "document": {"source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "A"},
    "tool_use": {"id": "c1", "name": "look", "input": {"a": 1}},
    "tool_result": {
        "tool_use_id": "c1",
        "content": [{"type": "text", "text": "x"}, {"type": "image", "source": IMAGE}],
    },
    "thinking": {"thinking": "Hm.", "signature": "sig"},
    "redacted_thinking": {"data": "enc"},
    "server_tool_use": {"id": "s1", "name": "web_search", "input": {}},
}
NAMES = [
    *("type", "text", "source", "id", "name", "input", "tool_use_id", "content", "is_error", "thinking", "signature"),
    *("data", "media_type", "url", "file_id", "title", "context", "citations", "cache_control", "caller"),
]
WORDS = [
    "base64",
    "url",
    "file",
    "ephemeral",
    "image/png",
    "application/pdf",
    "c1",
    "c2",
    "",
    "é\ud83d",
    "ocg2.x",
    "ocg1.",
]
leaves = st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.sampled_from(WORDS) | st.text(max_size=4)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES), values, max_size=6)


anything = st.recursive(leaves | texts, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8)
odd = st.just({}) | st.dictionaries(st.sampled_from(NAMES), anything | texts, max_size=2)
blocks = st.builds(lambda kind, fields: {**BLOCKS[kind], **fields, "type": kind}, st.sampled_from([*BLOCKS]), odd)
contents = st.text(max_size=4) | st.lists(blocks, max_size=4)
roles = st.sampled_from(["user", "assistant", "system"])
messages = st.builds(lambda role, content: {"role": role, "content": content}, roles, contents)
kinds = st.sampled_from(["custom", "web_search_20250305", "mcp_toolset", *(f"{name}_20250124" for name in DECLARED)])
tools = st.builds(
    lambda kind, fields, name, schema: {**fields, "type": kind, "name": name, "input_schema": schema},
    kinds,
    odd,
    st.sampled_from(["look", "bash", "web_search"]) | texts,
    st.just({"type": "object"}),
)
choices = st.builds(
    lambda kind, name: {"type": kind, "name": name}, st.sampled_from(["auto", "any", "none", "tool"]), texts
)
requests = st.builds(
    lambda sent, offered, choice, more: {
        "model": "openclaw",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}, *sent],
        "tools": offered,
        **({"tool_choice": choice} if offered else {}),
        **more,
    },
    st.lists(messages, max_size=4),
    st.lists(tools, max_size=2, unique_by=lambda tool: tool["name"]),
    choices,
    st.dictionaries(
        st.sampled_from(
            ["system", "thinking", "output_config", "metadata", "stop_sequences", "context_management", "cache_control"]
        ),
        anything,
        max_size=2,
    ),
)


@pytest.mark.parametrize(
    "api", ["openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai"]
)
@settings(max_examples=80)
@given(request=requests)
def test_any_request_is_sent_in_every_format_or_refused(api, request):
    try:
        ingress = MessagesIngress.read(json.dumps(request).encode(), betas="a,b")
        turn = ingress.turn(None)
        assert read_messages(loads(dumps(write_messages(turn.messages)))) == turn.messages
        asked, _ = as_functions(turn, api, labelled=True)
        for model in ("m", "claude-sonnet-4-5", "claude-opus-5-5"):
            UPSTREAMS[api].request(asked, ModelSpec(model))
    except (BadRequest, UpstreamError):
        pass
