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
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": []},
        {"role": "user", "content": [None, {"type": "text"}, {"type": "text", "text": None}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "tool_calls": [None]},
    ],
)
def test_a_message_without_content_is_left_out(raw):
    assert one(raw) is None


TEXT = {"type": "text", "text": "a"}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        *((entry, "messages[1]") for entry in (None, 1, "hi", [], [HI])),
        ({}, "messages[1].role"),
        ({"content": "hi"}, "messages[1].role"),
        ({"role": "User", "content": "hi"}, "messages[1].role"),
        ({"role": "critic", "content": "hi"}, "messages[1].role"),
        ({"role": ["user"], "content": "hi"}, "messages[1].role"),
        ({"role": "user", "content": 7}, "messages[1].content"),
        ({"role": "user", "content": TEXT}, "messages[1].content"),
        ({"role": "user", "content": [TEXT, 7]}, "messages[1].content[1]"),
        ({"role": "user", "content": [TEXT, {}]}, "messages[1].content[1].type"),
        ({"role": "user", "content": [{"type": ["text"]}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": "a", "name": 7}, "messages[1].name"),
        ({"role": "tool", "content": "4", "tool_call_id": 7}, "messages[1].tool_call_id"),
        ({"role": "assistant", "content": "a", "refusal": 7}, "messages[1].refusal"),
        ({"role": "assistant", "tool_calls": {"id": "c"}}, "messages[1].tool_calls"),
        ({"role": "assistant", "tool_calls": [None, 1]}, "messages[1].tool_calls[1].function.name"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[1].tool_calls[0].function.name"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}, "messages[1].tool_calls[0].function.name"),
        (
            {"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": "f"}}]},
            "messages[1].tool_calls[0].id",
        ),
        ({"role": "assistant", "tool_calls": [{"type": "custom"}]}, "messages[1].tool_calls[0].custom.name"),
        (
            {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": {}}}]},
            "messages[1].tool_calls[0].custom.input",
        ),
        ({"role": "assistant", "function_call": "f"}, "messages[1].function_call.name"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path_and_never_left_out(raw, path):
    with pytest.raises(BadRequest) as refused:
        read_messages([HI, raw])
    assert refused.value.param == path
    assert f"`{path}`" in refused.value.message


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "http://x/"}},
        {"type": "audio_url", "audio_url": {"url": "http://x/"}},
        {"type": "image", "source": {"type": "base64", "data": "AA=="}},
        {"type": "document", "source": {"type": "text", "data": "a"}},
        {"type": "tool_result", "tool_use_id": "c", "content": "4"},
        {"type": "input_image", "file_id": "file_1"},
    ],
)
def test_a_part_of_an_unknown_type_is_kept_for_a_provider_of_the_format(part):
    assert one({"role": "user", "content": [TEXT, part]}).parts == (Text("a"), Foreign(WIRE, part))


def test_legacy_function_calls_and_their_results_become_calls_and_results():
    raw = [
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{ "a":1 }'}},
        {"role": "function", "name": "f", "content": "4"},
        {"role": "assistant", "content": "so", "function_call": {"name": "g"}},
        {"role": "function", "name": "g", "content": [TEXT]},
        {"role": "function", "name": "g", "content": "again"},
    ]
    assert read_messages(raw) == (
        READ,
        Message("assistant", (ToolCall("call_function_1", "f", '{ "a":1 }'),)),
        Message("tool", (ToolResult("call_function_1", (Text("4"),)),)),
        Message("assistant", (Text("so"), ToolCall("call_function_2", "g", "{}"))),
        Message("tool", (ToolResult("call_function_2", (Text("a"),)),)),
        Message("function", (Text("again"),), "g"),
    )


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", (Text("a"),)),
        ("", (Text(""),)),
        ([{"type": "text", "text": "a"}], (Text("a"),)),
        ([{"type": "input_text", "text": "a"}], (Text("a"),)),
        ([{"input_text": "a"}], (Text("a"),)),
        ([{"type": "text", "text": "a", "cache": 1}], (Text("a", Extras(WIRE, {"cache": 1})),)),
        ([{"type": "text"}, {"type": "text", "text": "b"}], (Text("b"),)),
        (["a", {"text": "b", "zz": 1}], (Text("a"), Text("b", Extras(WIRE, {"zz": 1})))),
        ([{"type": "output_text", "text": "a", "annotations": []}], (Text("a", Extras(WIRE, {"annotations": []})),)),
        ([{"type": "input_image", "image_url": "http://x/", "detail": "low"}], (Image("http://x/", "low"),)),
        ([{"type": "image_url", "image_url": "http://x/"}], (Image("http://x/"),)),
        ([{"type": "image_url", "image_url": {"url": "http://x/", "detail": "low"}}], (Image("http://x/", "low"),)),
        ([{"type": "image_url", "image_url": {"url": "http://x/", "detail": 1}}], (Image("http://x/"),)),
        ([{"type": "image_url", "image_url": {}}], (Image(""),)),
        ([{"type": "image_url"}], (Image(""),)),
        ([{"type": "input_audio", "input_audio": {}}], (Foreign(WIRE, {"type": "input_audio", "input_audio": {}}),)),
        ([{"type": "file", "file": {}}], (Foreign(WIRE, {"type": "file", "file": {}}),)),
        ([{"type": None, "text": "a"}, {"type": "text", "text": "b"}], (Text("a"), Text("b"))),
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
        (call(function={"name": "f", "arguments": ""}), (ToolCall("c1", "f", "{}"),)),
    ],
)
def test_an_assistants_calls_are_preserved_to_the_byte(raw, parts):
    assert one({"role": "assistant", "content": None, "tool_calls": [raw]}) == Message("assistant", parts)
    assert one({"role": "assistant", "content": "so", "tool_calls": [raw]}).parts == (Text("so"), *parts)


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        ({"tool_call_id": "c1", "content": "4"}, ToolResult("c1", (Text("4"),))),
        ({"tool_call_id": "c1", "content": [{"type": "text", "text": "4"}]}, ToolResult("c1", (Text("4"),))),
        ({"tool_call_id": "c1", "content": ""}, ToolResult("c1", (Text(""),))),
        ({"tool_call_id": "c1"}, ToolResult("c1", ())),
        ({"content": "4"}, ToolResult("", (Text("4"),))),
    ],
)
def test_a_tool_result_keeps_its_call_id(raw, result):
    assert one({"role": "tool", **raw}) == Message("tool", (result,))


def test_unknown_fields_of_a_call_are_preserved_except_its_stream_index():
    raw = {"role": "assistant", "tool_calls": [{**call(), "extra_content": {"a": 1}, "index": 0}]}
    assert one(raw).parts[0].extras == Extras(WIRE, {"extra_content": {"a": 1}})


def test_unknown_fields_of_a_message_are_preserved():
    raw = {"role": "assistant", "content": None, "refusal": "no", "zz": {"id": "a"}}
    assert one(raw) == Message(
        "assistant",
        (Refusal("no", Extras(WIRE, {"place": "message"})),),
        extras=Extras(WIRE, {"zz": {"id": "a"}}),
    )


def test_null_is_the_same_as_absent_in_a_message_and_its_parts():
    text = {"type": "text", "text": "a", "cache_control": None}
    raw = {"role": "assistant", "content": [text], "refusal": None, "audio": None, "function_call": None}
    assert one(raw) == Message("assistant", (Text("a"),))


@pytest.mark.parametrize(
    ("part", "inner", "absent"),
    [
        ({"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}, "input_audio", "transcript"),
        (
            {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,QQ=="}},
            "file",
            "file_id",
        ),
    ],
)
def test_null_is_the_same_as_absent_inside_a_part(part, inner, absent):
    with_null = {**part, inner: {**part[inner], absent: None}}
    assert one({"role": "user", "content": [with_null]}) == one({"role": "user", "content": [part]})
    assert not isinstance(one({"role": "user", "content": [with_null]}).parts[0], Foreign)


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
        [{"role": "user"}],
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


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
def test_a_part_of_reasoning_is_left_out_where_no_format_carries_it(kind):
    (part, _) = one(
        {"role": "assistant", "content": [{"type": kind, "thinking": "hm"}, {"type": "text", "text": "a"}]}
    ).parts
    assert part == Foreign(WIRE, {"type": kind, "thinking": "hm"}, text="")
