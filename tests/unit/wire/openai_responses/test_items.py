from typing import get_args

import pytest
from openai.types.responses import ResponseInputItem

from gateway.core.errors import BadRequest
from gateway.core.message import Extras, File, Image, Message, Text, ToolCall, ToolResult
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_responses.items import read_input, referred
from gateway.wire.openai_responses.response_object import call_item


def text(role, content):
    return Message(role, (Text(content),))


def refusal(raw):
    with pytest.raises(BadRequest) as caught:
        read_input(raw)
    return caught.value


def call(call_id, name="f", arguments="{}"):
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id, result="done"):
    return {"type": "function_call_output", "call_id": call_id, "output": result}


def test_a_string_is_one_user_message():
    assert read_input("hi") == (text("user", "hi"),)


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_roles_are_preserved_with_and_without_a_type(role):
    last = {"role": "user", "content": "q"}
    expected = (text(role, "x"), text("user", "q"))
    assert read_input([{"type": "message", "role": role, "content": "x"}, last]) == expected
    assert read_input([{"role": role, "content": [{"type": "input_text", "text": "x"}]}, last]) == expected


def between_agents(*content):
    return {"type": "agent_message", "id": "am_1", "author": "/root", "recipient": "/root/w", "content": [*content]}


HEADER = {"type": "input_text", "text": "NEW_TASK"}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ([HEADER], ["NEW_TASK"]),
        ([HEADER, {"type": "encrypted_content", "encrypted_content": "Find the bug."}], ["NEW_TASK", "Find the bug."]),
    ],
)
def test_a_message_between_agents_of_codex_is_a_users_message(content, texts):
    heading = "Message from the agent /root to /root/w:"
    expected = Message("user", tuple(map(Text, (heading, *texts))))
    assert read_input([between_agents(*content)]) == (expected,)
    assert read_input([{"type": "agent_message", "content": "done"}]) == (text("user", "done"),)


def test_an_encrypted_message_between_agents_is_for_a_provider_of_the_format():
    item = between_agents(HEADER, {"type": "encrypted_content", "encrypted_content": "gAAAAABq"})
    ((part,),) = [message.parts for message in read_input([item])]
    assert part.payload == {"item": {name: value for name, value in item.items() if name != "id"}}
    assert "NEW_TASK" in part.text
    assert "gAAAA" not in part.text


@pytest.mark.parametrize("part", [7, {"type": "zzz"}, {"type": "encrypted_content"}, {"type": "input_text"}])
def test_a_message_between_agents_that_cannot_be_read_is_refused_with_its_path(part):
    assert refusal([{"role": "user", "content": "q"}, between_agents(part)]).param.startswith("input[1].content[0]")


PHASE = Extras("openai-responses", {"phase": "commentary"})


def test_output_items_of_a_response_can_be_sent_back_unchanged():
    resent = [
        {"role": "user", "content": "weather?"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}],
        },
        call("call_1", "get_weather", '{"city":"Oslo"}') | {"status": "completed"},
        output("call_1", "5C"),
    ]
    assert read_input(resent) == (
        text("user", "weather?"),
        Message("assistant", (Text("Let me see.", PHASE), ToolCall("call_1", "get_weather", '{"city":"Oslo"}'))),
        Message("tool", (ToolResult("call_1", (Text("5C"),)),)),
    )


def test_a_providers_extra_fields_come_back_with_their_call():
    attached = {"extra_content": {"google": {"thought_signature": "s"}}}
    item = call_item("fc_1", "completed", ToolCall("call_1", "f", "{}", Extras(WIRE, attached)))
    assert item["extras"] == {"wire": WIRE, "fields": attached}
    resent = [{"role": "user", "content": "q"}, item | {"parsed_arguments": None}, output("call_1")]
    assert read_input(resent)[1].parts[0].extras == Extras(WIRE, attached)


def test_calls_of_one_round_share_a_message_and_rounds_stay_apart():
    raw = [call("a"), call("b"), output("a"), output("b"), call("c"), output("c")]
    messages = read_input(raw)
    assert [message.role for message in messages] == ["assistant", "tool", "tool", "assistant", "tool"]
    assert [part.id for part in messages[0].parts] == ["a", "b"]


def test_text_after_a_call_joins_its_message_so_that_outputs_follow_their_calls():
    raw = [call("a"), {"role": "assistant", "content": "calling"}, output("a")]
    messages = read_input(raw)
    assert messages[0] == Message("assistant", (ToolCall("a", "f", "{}"), Text("calling")))
    assert messages[1].role == "tool"


def test_two_answers_in_a_row_stay_two_messages():
    raw = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert read_input(raw) == (text("assistant", "a"), text("assistant", "b"))


def test_arguments_given_as_an_object_become_json_text():
    raw = [call("a", arguments={"x": 1}), call("b", arguments=None)]
    assert [part.arguments for part in read_input(raw)[0].parts] == ['{"x":1}', "{}"]


def test_the_texts_of_an_output_are_its_result():
    raw = [call("a"), output("a", [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}])]
    assert read_input(raw)[1].parts == (ToolResult("a", (Text("x"), Text("y"))),)


def test_images_of_outputs_stay_and_files_follow_after_all_outputs():
    raw = [
        call("a"),
        call("b"),
        output("a", [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]),
        output("b", [{"type": "input_file", "filename": "x.txt", "file_data": "eA=="}]),
        {"role": "user", "content": "and?"},
    ]
    messages = read_input(raw)
    assert [message.role for message in messages] == ["assistant", "tool", "tool", "user", "user"]
    assert messages[1].parts == (ToolResult("a", (Image("data:image/png;base64,AA=="),)),)
    assert messages[3].parts == (
        Text("The tool call b returned the file 'x.txt':"),
        File("x.txt", None, "eA=="),
    )
    assert messages[4] == text("user", "and?")


def test_files_of_the_last_output_come_at_the_end():
    raw = [call("a"), output("a", [{"type": "input_file", "filename": "x.txt", "file_data": "eA=="}]), call("b")]
    assert [message.role for message in read_input(raw)] == ["assistant", "tool", "user", "assistant"]
    assert [message.role for message in read_input(raw[:2])] == ["assistant", "tool", "user"]


def test_items_that_only_their_provider_can_read_are_skipped():
    raw = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "mcp_list_tools", "id": "l_1", "server_label": "s", "tools": []},
        {"type": "mcp_approval_request", "id": "a_1", "arguments": "{}", "name": "n", "server_label": "s"},
        {"type": "mcp_approval_response", "approval_request_id": "a_1", "approve": True},
        {"role": "user", "content": "hi"},
    ]
    assert read_input(raw) == (text("user", "hi"),)


@pytest.mark.parametrize(
    "raw",
    ["", "  ", [], [{"role": "system", "content": "x"}], [{"role": "user", "content": []}], [{"type": "reasoning"}]],
)
def test_input_without_a_message_to_answer_is_refused(raw):
    error = refusal(raw)
    assert (error.message, error.param) == ("Missing user message in `input`.", "input")


def test_an_empty_tool_output_still_needs_an_answer():
    assert read_input([output("a", "")]) == (Message("tool", (ToolResult("a", (Text(""),)),)),)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (None, "input"),
        (5, "input"),
        ({"role": "user"}, "input"),
        ([{"type": "banana"}], "input[0]"),
        ([{"type": 5}], "input[0]"),
        ([{"type": "item_reference"}], "input[0]"),
        ([{"type": "compaction", "encrypted_content": None}], "input[0].encrypted_content"),
        ([{"type": "additional_tools", "role": "developer", "tools": {}}], "input[0].tools"),
        ([{"type": "shell_call", "action": {}}], "input[0].call_id"),
        (["hi"], "input[0]"),
        ([{}], "input[0]"),
        ([{"role": "tool", "content": "x"}], "input[0].role"),
        ([{"role": "user", "content": "x", "phase": "commentary"}], "input[0].phase"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "banana"}]}], "input[1].content[0]"),
        ([{"type": "function_call", "name": "f"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "c", "name": " "}], "input[0].name"),
        ([{"type": "function_call_output", "output": "x"}], "input[0].call_id"),
        ([{"type": "function_call_output", "call_id": "c"}], "input[0].output"),
        (
            [{"role": "assistant", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}],
            "input[0].content",
        ),
    ],
)
def test_refusals_name_the_item(raw, param):
    error = refusal(raw)
    assert error.param == param
    assert f"`{param}`" in error.message


PNG = "data:image/png;base64,AA=="
ROUNDS = [
    (
        [{"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "SELECT 1"}],
        "sql",
        "SELECT 1",
        None,
    ),
    ([{"type": "custom_tool_call_output", "call_id": "c", "output": "1"}], None, None, "1"),
    (
        [{"type": "mcp_call", "id": "c", "name": "find", "server_label": "s", "arguments": '{"q":1}', "output": "two"}],
        "find",
        '{"q":1}',
        "two",
    ),
    (
        [{"type": "web_search_call", "id": "c", "status": "completed", "action": {"type": "search", "query": "x"}}],
        "web_search",
        '{"action":{"type":"search","query":"x"}}',
        "completed",
    ),
    (
        [{"type": "file_search_call", "id": "c", "status": "completed", "queries": ["x"], "results": [{"text": "y"}]}],
        "file_search",
        '{"queries":["x"]}',
        '[{"text":"y"}]',
    ),
    (
        [{"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]}],
        "code_interpreter",
        '{"code":"1+1"}',
        '[{"type":"logs","logs":"2"}]',
    ),
    (
        [{"type": "local_shell_call", "call_id": "c", "id": "l", "action": {"command": ["ls"]}}],
        "local_shell",
        '{"command":["ls"]}',
        None,
    ),
    ([{"type": "local_shell_call_output", "id": "c", "output": "a"}], None, None, "a"),
    (
        [{"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}],
        "shell",
        '{"commands":["ls"]}',
        None,
    ),
    ([{"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a"}]}], None, None, '[{"stdout":"a"}]'),
    (
        [{"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file"}}],
        "apply_patch",
        '{"type":"delete_file"}',
        None,
    ),
    ([{"type": "apply_patch_call_output", "call_id": "c", "status": "failed"}], None, None, "failed"),
    (
        [{"type": "computer_call", "call_id": "c", "id": "x", "action": {"type": "click"}}],
        "computer",
        '{"action":{"type":"click"}}',
        None,
    ),
    (
        [{"type": "tool_search_call", "call_id": "c", "arguments": {"q": 1}}],
        "tool_search",
        '{"q":1}',
        None,
    ),
    ([{"type": "tool_search_output", "call_id": "c", "tools": []}], None, None, "[]"),
    (
        [{"type": "program", "call_id": "c", "id": "p", "code": "x", "fingerprint": "f"}],
        "program",
        '{"code":"x"}',
        None,
    ),
    ([{"type": "program_output", "call_id": "c", "id": "p", "result": "y", "status": "completed"}], None, None, "y"),
]


@pytest.mark.parametrize(("raw", "name", "arguments", "result"), ROUNDS, ids=[raw[0]["type"] for raw, *_ in ROUNDS])
def test_items_of_tools_become_calls_and_results(raw, name, arguments, result):
    messages = read_input(raw)
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCall)]
    results = [part for message in messages for part in message.parts if isinstance(part, ToolResult)]
    assert [(call.id, call.name, call.arguments) for call in calls] == ([("c", name, arguments)] if name else [])
    failed = raw[0].get("status") == "failed"
    assert results == ([] if result is None else [ToolResult("c", (Text(result),), is_error=failed)])


@pytest.mark.parametrize(
    "item",
    [
        {"type": "image_generation_call", "id": "c", "status": "completed", "result": "AA=="},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": PNG}},
    ],
)
def test_images_from_hosted_tools_are_shown_to_the_model(item):
    results = [part for message in read_input([item]) for part in message.parts if isinstance(part, ToolResult)]
    assert results == [ToolResult("c", (Image(PNG),))]


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "m"}, {"id": "m"}, {"id": "m", "type": None}])
def test_a_reference_is_recognised_with_and_without_its_type(item):
    assert referred(item) == "m"


@pytest.mark.parametrize("item", [{"id": "m", "role": "user", "content": "x"}, {"id": 5}, "m", {}, {"type": "message"}])
def test_complete_items_are_not_references(item):
    assert referred(item) is None


def official_types(union):
    """The `type` of every member of a union of the official client."""
    for member in get_args(union):
        fields = getattr(member, "model_fields", None)
        if fields is None:
            yield from official_types(member)
            continue
        annotation = fields["type"].annotation
        yield from (
            name for each in (annotation, *get_args(annotation)) for name in get_args(each) if type(name) is str
        )


@pytest.mark.parametrize("kind", sorted(set(official_types(ResponseInputItem))))
def test_every_item_type_of_the_official_client_is_handled(kind):
    """Some types are refused, but none as unknown."""
    message = ""
    try:
        read_input([{"type": kind, "id": "x"}, {"role": "user", "content": "hi"}])
    except BadRequest as error:
        message = error.message
    assert "items of type" not in message
