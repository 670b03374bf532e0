import json

import pytest

from gateway.core.message import Extras, Foreign, Image, Message, Text, ToolCall, ToolResult
from gateway.core.turn import AUTO, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.openai_chat.request import build_request

WIRE = "openai-completions"
HI = (Message("user", (Text("hi"),)),)
PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
MODERN = Profile(developer_role=True, max_tokens_field="max_completion_tokens")


def sent(turn, **row):
    return json.loads(build_request(turn, ModelSpec("m", **row)))


def message(*parts, role="user", **fields):
    (written,) = sent(Turn("openclaw", (Message(role, parts, **fields),)))["messages"]
    return written


def test_a_plain_turn_is_encoded_as_a_plain_request():
    assert sent(Turn("openclaw", HI)) == PLAIN


def test_the_callers_user_is_not_forwarded():
    assert sent(Turn("openclaw", HI, user="ann")) == PLAIN


@pytest.mark.parametrize(
    ("asked", "row", "capped"),
    [
        (None, {}, {}),
        (50, {}, {"max_tokens": 50}),
        (50, {"max_tokens": 100}, {"max_tokens": 50}),
        (500, {"max_tokens": 100}, {"max_tokens": 100}),
        (None, {"max_tokens": 100}, {"max_tokens": 100}),
        (50, {"profile": MODERN}, {"max_completion_tokens": 50}),
        (None, {"profile": MODERN, "max_tokens": 100}, {"max_completion_tokens": 100}),
    ],
)
def test_the_callers_cap_is_clamped_to_the_models(asked, row, capped):
    assert sent(Turn("openclaw", HI, sampling=Sampling(max_tokens=asked)), **row) == PLAIN | capped


def test_only_set_fields_are_sent():
    sampling = Sampling(temperature=0, top_p=0.5, frequency_penalty=0, presence_penalty=-1, seed=0, stop=("a",))
    fields = {"temperature": 0, "top_p": 0.5, "frequency_penalty": 0, "presence_penalty": -1, "seed": 0, "stop": ["a"]}
    assert sent(Turn("openclaw", HI, sampling=sampling)) == PLAIN | fields


@pytest.mark.parametrize(
    ("turn", "row", "added"),
    [
        ({"stream": True}, {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True}, {"profile": Profile(usage_in_streaming=False)}, {"stream": True}),
        ({"include_usage": True}, {}, {}),
        ({"extras": Extras(WIRE, {"logit_bias": {}})}, {}, {"logit_bias": {}}),
        ({"extras": Extras("another", {"logit_bias": {}})}, {}, {}),
        ({"extras": Extras(WIRE, {"logit_bias": {}})}, {"profile": Profile(unknown_fields=False)}, {}),
        ({}, {"params": {"top_k": 5}}, {"top_k": 5}),
        ({"extras": Extras(WIRE, {"top_k": 1})}, {"params": {"top_k": 5}}, {"top_k": 1}),
        ({"sampling": Sampling(temperature=1)}, {"params": {"temperature": 0}}, {"temperature": 1}),
        ({"extras": Extras(WIRE, {"parallel_tool_calls": True})}, {"profile": Profile(parallel_tool_calls=False)}, {}),
        # OpenAI refuses it without tools, which the gateway may have left out.
        ({"extras": Extras(WIRE, {"parallel_tool_calls": True})}, {}, {}),
    ],
)
def test_fields_that_an_endpoint_does_not_support_are_omitted(turn, row, added):
    assert sent(Turn("openclaw", HI, **turn), **row) == PLAIN | added


def test_extra_fields_cannot_override_model_or_messages():
    extras = Extras(WIRE, {"model": "x", "messages": [], "zz": 1})
    assert sent(Turn("openclaw", HI, extras=extras), params={"model": "y"}) == PLAIN | {"zz": 1}


F, G = ToolSpec("f", "d", {"type": "object"}, strict=True), ToolSpec("g", extras=Extras(WIRE, {"zz": 1}))
SENT_F = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
SENT_G = {"type": "function", "function": {"name": "g", "zz": 1}}
PINNED_G = {"type": "function", "function": {"name": "g"}}


@pytest.mark.parametrize(
    ("choice", "understood", "tools", "sent_choice"),
    [
        (None, True, [SENT_F, SENT_G], None),
        (AUTO, True, [SENT_F, SENT_G], "auto"),
        (ToolChoice("required"), True, [SENT_F, SENT_G], "required"),
        (ToolChoice("pinned", "g"), True, [SENT_F, SENT_G], PINNED_G),
        (ToolChoice("none"), True, [SENT_F, SENT_G], "none"),
        (AUTO, False, [SENT_F, SENT_G], None),
        (ToolChoice("required"), False, [SENT_F, SENT_G], None),
        (ToolChoice("pinned", "g"), False, [SENT_G], None),
        (ToolChoice("none"), False, None, None),
    ],
)
def test_tools_are_offered_according_to_the_tool_choice(choice, understood, tools, sent_choice):
    turn = Turn("openclaw", HI, tools=(F, G), tool_choice=choice, extras=Extras(WIRE, {"parallel_tool_calls": False}))
    body = sent(turn, profile=Profile(tool_choice=understood))
    assert body.get("tools") == tools
    assert body.get("tool_choice") == sent_choice
    assert ("parallel_tool_calls" in body) == (choice is None or choice.mode != "none")


def test_a_model_without_tools_gets_none_that_must_not_be_called():
    turn = Turn("openclaw", HI, tools=(F,), tool_choice=ToolChoice("none"))
    assert sent(turn, tools=False) == PLAIN


@pytest.mark.parametrize("choice", [None, AUTO, ToolChoice("none")])
def test_without_tools_no_tool_choice_is_sent(choice):
    assert sent(Turn("openclaw", HI, tool_choice=choice)) == PLAIN


@pytest.mark.parametrize(("profile", "role"), [(Profile(), "system"), (MODERN, "developer")])
def test_the_developer_role_is_sent_only_where_it_is_supported(profile, role):
    turn = Turn("openclaw", (Message("developer", (Text("brief"),)),))
    assert sent(turn, profile=profile)["messages"] == [{"role": role, "content": "brief"}]


@pytest.mark.parametrize(("known", "wire"), [(True, WIRE), (False, WIRE), (True, "another")])
def test_a_providers_extra_fields_of_a_call_go_only_to_endpoints_that_accept_them(known, wire):
    call = ToolCall("c1", "f", "{}", Extras(wire, {"extra_content": {"a": 1}}))
    turn = Turn("openclaw", (*HI, Message("assistant", (call,))))
    (sent_call,) = sent(turn, profile=Profile(tool_call_fields=known))["messages"][-1]["tool_calls"]
    assert ("extra_content" in sent_call) == (known and wire == WIRE)


@pytest.mark.parametrize("tools", [True, False])
def test_a_model_without_tools_does_not_get_hidden_tool_messages(tools):
    work = Message("assistant", (ToolCall("c1", "f", "{}"),), hidden=True)
    messages = sent(Turn("openclaw", (*HI, work, *HI)), tools=tools)["messages"]
    assert [message["role"] for message in messages] == (["user", "assistant", "user"] if tools else ["user", "user"])


def test_messages_are_encoded_as_they_were_decoded():
    call = ToolCall("c1", "f", '{ "a":1 }', Extras(WIRE, {"index": 0}))
    sent_call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{ "a":1 }'}, "index": 0}
    assert message(Text("a"), name="ann") == {"role": "user", "content": "a", "name": "ann"}
    assert message(Text("a"), content_is_array=True) == {"role": "user", "content": [{"type": "text", "text": "a"}]}
    assert message(call, role="assistant") == {"role": "assistant", "content": None, "tool_calls": [sent_call]}
    assert message(Text(""), call, role="assistant") == {"role": "assistant", "content": "", "tool_calls": [sent_call]}
    assert message(ToolResult("c1", (Text("4"),)), role="tool") == {
        "role": "tool",
        "content": "4",
        "tool_call_id": "c1",
    }
    assert message(ToolResult("c1", ()), role="tool")["content"] == ""
    assert message(ToolResult("c1", (Text("4"),), content_is_array=True), role="tool")["content"] == [
        {"type": "text", "text": "4"}
    ]
    assert message(Text("a"), role="assistant", extras=Extras(WIRE, {"refusal": "no"}))["refusal"] == "no"


def test_parts_are_encoded_as_they_were_decoded():
    parts = (
        Text("a", Extras(WIRE, {"cache": 1})),
        Image("http://x/", "low", Extras(WIRE, {"zz": 1})),
        Image("http://x/"),
        Foreign(WIRE, {"type": "file", "file": {"id": 1}}),
    )
    assert message(*parts)["content"] == [
        {"type": "text", "text": "a", "cache": 1},
        {"type": "image_url", "image_url": {"url": "http://x/", "detail": "low"}, "zz": 1},
        {"type": "image_url", "image_url": {"url": "http://x/"}},
        {"type": "file", "file": {"id": 1}},
    ]


def test_extras_of_another_format_are_not_sent():
    assert message(Text("a", Extras("x", {"b": 1})), Foreign("x", {"b": 1}), extras=Extras("x", {"c": 1})) == {
        "role": "user",
        "content": [{"type": "text", "text": "a"}],
    }


def test_half_a_surrogate_pair_is_sent_unchanged():
    assert b'"\\ud83d"' in build_request(Turn("openclaw", (Message("user", (Text("\ud83d"),)),)), ModelSpec("m"))
