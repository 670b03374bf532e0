import json

import pytest

from gateway.core.errors import BadRequest
from gateway.core.jsonio import fields_of
from gateway.core.message import Extras, Foreign, Image, Message, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.wire.openai_chat import messages

WIRE = "openai-completions"
HI = {"role": "user", "content": "hi"}
READ = Message("user", (Text("hi"),))


def read_messages(raw):
    return messages.read_messages(fields_of(json.dumps({"messages": raw}).encode())["messages"])


def one(raw):
    """The decoded message, None if it is skipped. Another message needs the answer."""
    *messages_before, last = read_messages([raw, HI])
    assert last == READ
    return messages_before[0] if messages_before else None


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "function"])
def test_roles_and_names_are_preserved(role):
    assert one({"role": role, "content": "a", "name": "ann"}) == Message(role, (Text("a"),), "ann")


@pytest.mark.parametrize(
    "raw",
    [
        *(None, 1, "hi", [], [HI], {}, {"content": "hi"}, {"role": "User", "content": "hi"}),
        {"role": "critic", "content": "hi"},
        {"role": None, "content": "hi"},
        {"role": ["user"], "content": "hi"},
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": 7},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "video"}, 7, None]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ],
)
def test_entries_that_openclaw_skips_are_skipped(raw):
    assert one(raw) is None


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", (Text("a"),)),
        ("", (Text(""),)),
        ([{"type": "text", "text": "a"}], (Text("a"),)),
        ([{"type": "input_text", "text": "a"}], (Text("a"),)),
        ([{"input_text": "a"}], (Text("a"),)),
        ([{"type": "text", "text": "a", "cache": 1}], (Text("a", Extras(WIRE, {"cache": 1})),)),
        ([{"type": "text"}, {"type": "text", "text": 1}, {"type": "text", "text": "b"}], (Text("b"),)),
        ([{"type": "image_url", "image_url": "http://x/"}], (Image("http://x/"),)),
        ([{"type": "image_url", "image_url": {"url": "http://x/", "detail": "low"}}], (Image("http://x/", "low"),)),
        ([{"type": "image_url", "image_url": {"url": "http://x/", "detail": 1}}], (Image("http://x/"),)),
        ([{"type": "image_url", "image_url": {}}], (Image(""),)),
        ([{"type": "image_url"}], (Image(""),)),
        ([{"type": "input_audio", "input_audio": {}}], (Foreign(WIRE, {"type": "input_audio", "input_audio": {}}),)),
        ([{"type": "file", "file": {}}], (Foreign(WIRE, {"type": "file", "file": {}}),)),
        ([{"type": ["text"], "text": "a"}, {"type": "text", "text": "b"}], (Text("b"),)),
    ],
)
def test_every_form_of_content_is_decoded(content, parts):
    assert one({"role": "user", "content": content}) == Message("user", parts)


def test_content_in_an_array_stays_an_array():
    assert one({"role": "user", "content": [{"type": "text", "text": "a"}]}).content_is_array
    assert not one({"role": "user", "content": "a"}).content_is_array


def call(**fields):
    return {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{ "a":1 }'}, **fields}


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (call(), (ToolCall("c1", "f", '{ "a":1 }'),)),
        (call(zz=0), (ToolCall("c1", "f", '{ "a":1 }', Extras(WIRE, {"zz": 0})),)),
        (call(id=None), (ToolCall("", "f", '{ "a":1 }'),)),
        (call(function={"name": "f"}), (ToolCall("c1", "f", "{}"),)),
        (call(function={"name": "f", "arguments": {"a": 1}}), (ToolCall("c1", "f", '{"a":1}'),)),
        (call(function={"name": "f", "arguments": ""}), (ToolCall("c1", "f", ""),)),
    ],
)
def test_an_assistants_calls_are_preserved_to_the_byte(raw, parts):
    assert one({"role": "assistant", "content": None, "tool_calls": [raw]}) == Message("assistant", parts)
    assert one({"role": "assistant", "content": "so", "tool_calls": [raw]}).parts == (Text("so"), *parts)


@pytest.mark.parametrize("raw", [None, 1, {}, call(function=None), call(function={}), call(function={"name": 1})])
def test_a_call_without_a_function_name_is_skipped(raw):
    assert one({"role": "assistant", "content": "so", "tool_calls": [raw]}) == Message("assistant", (Text("so"),))


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        ({"tool_call_id": "c1", "content": "4"}, ToolResult("c1", (Text("4"),))),
        ({"tool_call_id": "c1", "content": [{"type": "text", "text": "4"}]}, ToolResult("c1", (Text("4"),))),
        ({"tool_call_id": "c1", "content": ""}, ToolResult("c1", (Text(""),))),
        ({"tool_call_id": "c1"}, ToolResult("c1", ())),
        ({"content": "4"}, ToolResult("", (Text("4"),))),
        ({"tool_call_id": 7, "content": "4"}, ToolResult("", (Text("4"),))),
    ],
)
def test_a_tool_result_keeps_its_call_id(raw, result):
    assert one({"role": "tool", **raw}) == Message("tool", (result,))


def test_unknown_fields_of_a_call_are_preserved_except_its_stream_index():
    raw = {"role": "assistant", "tool_calls": [{**call(), "extra_content": {"a": 1}, "index": 0}]}
    assert one(raw).parts[0].extras == Extras(WIRE, {"extra_content": {"a": 1}})


def test_unknown_fields_of_a_message_are_preserved():
    raw = {"role": "assistant", "content": None, "refusal": "no", "audio": {"id": "a"}}
    assert one(raw) == Message(
        "assistant",
        (Refusal("no", Extras(WIRE, {"place": "message"})),),
        extras=Extras(WIRE, {"audio": {"id": "a"}}),
    )


def test_null_is_the_same_as_absent_in_a_message_and_its_parts():
    text = {"type": "text", "text": "a", "cache_control": None}
    raw = {"role": "assistant", "content": [text], "refusal": None, "audio": None, "function_call": None}
    assert one(raw) == Message("assistant", (Text("a"),))


def test_reasoning_in_a_clients_message_is_decoded():
    raw = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    thinking = Thinking("hm", extras=Extras(WIRE, {"field": "reasoning_content"}))
    assert one(raw) == Message("assistant", (thinking, Text("a")))


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [{"role": "system", "content": "be brief"}],
        [{"role": "developer", "content": "be brief"}],
        [{"role": "user", "content": " \n"}],
        [{"role": "user", "content": [{"type": "text", "text": ""}]}],
        [{"role": "critic", "content": "hi"}],
    ],
)
def test_messages_without_anything_to_answer_are_refused(raw):
    with pytest.raises(BadRequest, match="Missing user message in `messages`") as caught:
        read_messages(raw)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "raw",
    [
        {"role": "assistant", "content": "hi"},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {"role": "function", "name": "f", "content": "4"},
        {"role": "user", "content": [{"type": "image_url", "image_url": "http://x/"}]},
        {"role": "assistant", "tool_calls": [call()]},
    ],
)
def test_any_role_but_system_and_developer_may_need_an_answer(raw):
    assert len(read_messages([raw])) == 1
