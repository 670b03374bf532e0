"""Any request is decoded or refused; a decoded request can be stored, stored_items and echoed."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps, loads
from gateway.core.message_json import read_messages, write_messages
from gateway.wire import UPSTREAMS
from gateway.wire.function_tools import as_functions
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses.client_tools import CALL_TYPES, DECLARED, OUTPUT_TYPES
from gateway.wire.openai_responses.hosted import HOSTED
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.items import read_items
from gateway.wire.openai_responses.response_object import Head, response_object
from gateway.wire.openai_responses.schema import ResponsesRequest

KINDS = [
    *("message", "reasoning", "item_reference", "compaction", "additional_tools"),
    *(*CALL_TYPES.values(), *OUTPUT_TYPES.values(), *HOSTED),
]
TOOLS = ["function", "custom", "namespace", "tool_search", "shell", "mcp", "web_search", "allowed_tools", *DECLARED]
PARTS = ["input_text", "output_text", "text", "refusal", "input_image", "input_file", "input_audio"]
NAMES = [
    "role",
    "content",
    "id",
    "call_id",
    "name",
    "arguments",
    "output",
    "status",
    "phase",
    "summary",
    "text",
    "type",
]
NAMES += ["source", "image_url", "file_data", "file_url", "filename", "file_id", "detail", "input_audio", "refusal"]
NAMES += [
    "action",
    "result",
    "results",
    "code",
    "media_type",
    "data",
    "url",
    "input",
    "tools",
    "annotations",
    "logprobs",
]
WORDS = [
    "user",
    "assistant",
    "system",
    "developer",
    "base64",
    "url",
    "c1",
    "data:image/png;base64,AA==",
    "",
    " ",
    "\ud800",
]

words = st.sampled_from([*KINDS, *PARTS, *WORDS]) | st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | words, inner, max_size=6),
    max_leaves=20,
)
parts = st.builds(
    lambda kind, text, more: {"type": kind, "text": text, "refusal": text, **more},
    st.sampled_from(PARTS),
    words,
    st.dictionaries(st.sampled_from(NAMES), anything, max_size=3),
)
contents = words | st.lists(parts, max_size=3)
items = st.builds(
    lambda kind, role, content, more: {
        "type": kind,
        "role": role,
        "content": content,
        "call_id": "c1",
        "name": "f",
        "output": content,
        **more,
    },
    st.sampled_from(KINDS),
    st.sampled_from(["user", "assistant", "system", "developer"]),
    contents,
    st.dictionaries(st.sampled_from(NAMES), anything, max_size=2),
)
requests = st.builds(
    lambda items, more: {"model": "openclaw", "input": items, **more},
    words | st.lists(items, max_size=4),
    st.dictionaries(st.sampled_from(ResponsesRequest.__struct_fields__), anything, max_size=2),
)


@settings(max_examples=300)
@given(requests)
def test_any_request_is_decoded_or_refused(request):
    try:
        ingress = ResponsesIngress.read(json.dumps(request).encode())
        turn = ingress.turn()
    except BadRequest:
        return
    stored_items = loads(dumps(ingress.input_items("resp_1")))
    assert all(isinstance(item["id"], str) and item["type"] for item in stored_items)
    assert read_messages(loads(dumps(write_messages(turn.messages)))) == turn.messages
    if isinstance(request["input"], list):
        # Listed items can be sent again and give the same conversation, except for the added ids.
        assert [message.role for message in read_items(stored_items, "input")] == [
            message.role for message in turn.messages[len(ingress.instructions) :]
        ]
    # Values that providers may define beyond OpenAI's are forwarded and echoed unchanged.
    echo = {**ingress.echo(turn), "service_tier": "auto", "reasoning": None, "text": None}
    response = response_object(Head("resp_1", 1, turn.model, echo), "in_progress", ())
    Response.model_validate(loads(dumps(response)))


tool_names = st.sampled_from(["f", "g"])
tools = st.deferred(
    lambda: st.builds(
        lambda kind, name, members, more: {"type": kind, "name": name, "tools": members, **more},
        st.sampled_from(TOOLS),
        tool_names,
        st.lists(tools, max_size=2) | anything,
        st.dictionaries(
            st.sampled_from(["type", "name", "tools", "format", "custom", "function", "environment", "execution"]),
            anything,
            max_size=1,
        ),
    )
)
choices = st.sampled_from(["auto", "none", "required"]) | st.builds(
    lambda kind, name, entries, more: {"type": kind, "name": name, "mode": "auto", "tools": entries, **more},
    st.sampled_from(TOOLS),
    tool_names,
    st.lists(tools, max_size=2),
    st.dictionaries(st.sampled_from(["server_label", "namespace", "type", "mode"]), anything, max_size=1),
)
tool_requests = st.builds(
    lambda items, offered, choice, added: {
        "model": "openclaw",
        "input": [{"role": "user", "content": "hi"}, *items, {"type": "additional_tools", "tools": added}],
        "tools": offered,
        "tool_choice": choice,
    },
    st.lists(items, max_size=3),
    st.lists(tools, max_size=3),
    choices,
    st.lists(tools, max_size=1) | anything,
)


@settings(max_examples=200)
@given(tool_requests)
def test_any_tools_are_sent_in_both_forms_or_refused(request):
    try:
        ingress = ResponsesIngress.read(json.dumps(request).encode())
        turn = ingress.turn()
    except BadRequest:
        return
    loads(dumps(ingress.echo(turn)))
    native = loads(UPSTREAMS["openai-responses"].request(turn, ModelSpec("m", own_tools=True)).body)
    assert all(item["type"] for item in native["input"])
    try:
        asked, _ = as_functions(turn, "openai-completions")
    except BadRequest:
        return
    sent = loads(UPSTREAMS["openai-completions"].request(asked, ModelSpec("m")).body)
    assert all(tool["type"] == "function" for tool in sent.get("tools", ()))
    calls = [call for message in sent["messages"] for call in message.get("tool_calls", ())]
    assert all(call["type"] == "function" for call in calls)
