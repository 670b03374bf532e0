"""The identity law: an agent without prompt and tools forwards the client's request unchanged in the same format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.ingress import ChatIngress
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.openai_chat.request import build_request

MODEL = ModelSpec("m", profile=Profile(developer_role=True, max_tokens_field="max_completion_tokens"))

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,8}", fullmatch=True)
WORDS = st.text(st.characters(codec=None), max_size=8)  # includes halves of surrogate pairs
SAID = WORDS.filter(lambda text: text.strip())
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(NAMES.map("x_{}".format), JSON.filter(lambda value: value is not None), max_size=2)


def fields(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


def widened(strategy):
    """The objects of a strategy, with added unknown fields."""
    return st.tuples(strategy, UNKNOWN).map(lambda pair: pair[0] | pair[1])


TEXT = widened(fields({"type": st.just("text"), "text": WORDS}, {}))
PICTURE = widened(
    fields(
        {
            "type": st.just("image_url"),
            "image_url": fields({"url": WORDS}, {"detail": st.sampled_from(["low", "auto"])}),
        },
        {},
    )
)
OTHER = widened(
    fields({"type": st.sampled_from(["input_audio", "file", "refusal", "video_url", "audio_url", "document"])}, {})
)
CONTENT = WORDS | st.lists(TEXT | PICTURE | OTHER, min_size=1, max_size=3)
TEXTS = WORDS | st.lists(TEXT, min_size=1, max_size=3)
CALL = widened(
    fields(
        {
            "id": WORDS,
            "type": st.just("function"),
            "function": fields({"name": NAMES, "arguments": WORDS.filter(str.strip)}, {}),
        },
        {},
    )
)
CALLS = st.lists(CALL, min_size=1, max_size=3)
MESSAGE = widened(
    st.one_of(
        fields({"role": st.sampled_from(["system", "developer"]), "content": TEXTS}, {"name": WORDS}),
        fields({"role": st.sampled_from(["user", "function"]), "content": CONTENT}, {"name": WORDS}),
        fields(
            {"role": st.just("assistant"), "content": CONTENT},
            {"name": WORDS, "tool_calls": CALLS, "refusal": WORDS, "reasoning_content": WORDS},
        ),
        fields({"role": st.just("assistant"), "content": st.none(), "tool_calls": CALLS}, {"name": WORDS}),
        fields({"role": st.just("tool"), "content": CONTENT, "tool_call_id": WORDS}, {}),
    )
)
TOOL = fields(
    {
        "type": st.just("function"),
        "function": widened(
            fields(
                {"name": NAMES},
                {"description": WORDS, "parameters": st.dictionaries(WORDS, JSON, max_size=2), "strict": st.booleans()},
            )
        ),
    },
    {"cache_control": st.just({"type": "ephemeral"})},
)
TOOLS = st.lists(TOOL, min_size=1, max_size=3, unique_by=lambda tool: tool["function"]["name"])
KNOWN = {
    "max_completion_tokens": st.integers(1, 2**53 - 1),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1) | st.integers(0, 1),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.integers(-2, 2),
    "seed": st.integers(-(2**53), 2**53),
    "stop": st.lists(WORDS.filter(bool), min_size=1, max_size=4),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_schema", "json_schema": {"name": "x"}}]),
    "tools": TOOLS,
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
    "parallel_tool_calls": st.booleans(),
    "logit_bias": st.dictionaries(st.sampled_from(["1", "2"]), st.integers(-100, 100)),
    "logprobs": st.booleans(),
    "metadata": st.dictionaries(NAMES, WORDS, max_size=2),
    "reasoning_effort": st.sampled_from(["low", "high"]),
    "service_tier": st.just("auto"),
    "store": st.booleans(),
}
LAST = SAID.map(lambda text: {"role": "user", "content": text})
MESSAGES = st.tuples(st.lists(MESSAGE, max_size=3), LAST).map(lambda both: [*both[0], both[1]])
BODY = widened(fields({"messages": MESSAGES}, KNOWN)).filter(lambda body: "tools" in body or "tool_choice" not in body)


def passed_on(body):
    return json.loads(build_request(ChatIngress.read(json.dumps(body).encode()).turn(), MODEL))


@given(BODY, st.booleans())
def test_the_provider_gets_what_the_client_sent(body, stream):
    ours = {"model": "openclaw", "stream": stream, "user": "ann", "n": 1}
    theirs = {"model": "m"} | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})
    if not body.get("tools") or body.get("tool_choice") == "none":
        body = {name: value for name, value in body.items() if name != "parallel_tool_calls"}
    assert passed_on(body | ours) == body | theirs


SAY = {"role": "user", "content": "hi"}
TOOL_F = {"type": "function", "function": {"name": "f"}}
TOOL_G = {"type": "function", "function": {"name": "g"}}
PINNED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6.0}, {"max_completion_tokens": 6}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"stop": [], "tools": [], "n": None, "temperature": None}, {}),
        ({"functions": [], "function_call": None}, {}),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
            {"tools": [TOOL_F], "tool_choice": PINNED, "parallel_tool_calls": False},
        ),
        ({"tool_choice": "auto"}, {}),
        (
            {"tools": [TOOL_F], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [TOOL_F]}}},
            {"tools": [TOOL_F], "tool_choice": "auto"},
        ),
        (
            {"tools": [TOOL_F], "tool_choice": PINNED | {"function": None, "name": "f"}},
            {"tools": [TOOL_F], "tool_choice": PINNED},
        ),
        ({"tools": [{"function": {"name": " f "}}]}, {"tools": [TOOL_F]}),
        ({"messages": [SAY, {"role": "user"}, {"role": "user", "content": None}]}, {}),
    ],
)
def test_equivalent_requests_are_sent_in_one_normal_form(written, normal):
    assert passed_on({"messages": [SAY], **written}) == {"model": "m", "messages": [SAY], **normal}


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ({"content": [{"type": "input_text", "text": "a"}]}, {"content": [{"type": "text", "text": "a"}]}),
        ({"content": [{"input_text": "a"}]}, {"content": [{"type": "text", "text": "a"}]}),
        (
            {"content": [{"type": "image_url", "image_url": "u"}]},
            {"content": [{"type": "image_url", "image_url": {"url": "u"}}]},
        ),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": None}, None]},
            {"content": [{"type": "text", "text": "a"}]},
        ),
        ({"content": ["a"]}, {"content": [{"type": "text", "text": "a"}]}),
        ({"content": [{"type": "output_text", "text": "a"}]}, {"content": [{"type": "text", "text": "a"}]}),
        (
            {"content": [{"type": "input_image", "image_url": "u", "detail": "low"}]},
            {"content": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}]},
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            {
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
        ({"content": "a", "name": None}, {"content": "a"}),
    ],
)
def test_equivalent_messages_are_sent_in_one_normal_form(written, normal):
    sent = passed_on({"messages": [{"role": "assistant", **written}, SAY]})
    assert sent["messages"] == [{"role": "assistant", **normal}, SAY]
