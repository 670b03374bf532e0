"""Tools and their calls, in the client's own item types: to providers of the format and back."""

import json

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.core.accumulator import accumulated
from gateway.core.errors import BadRequest
from gateway.core.event import Finish, ToolCallBegin, ToolCallDelta
from gateway.core.message import Foreign, Owner
from gateway.core.seal import seal_for
from gateway.core.turn import ToolChoice
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from gateway.wire.openai_responses.ingress import ResponsesIngress
from gateway.wire.openai_responses.render import answer_object
from gateway.wire.openai_responses.response_object import Head
from gateway.wire.openai_responses.stream import Renderer

MODEL = ModelSpec("gpt-5.5", provider="openai", own_tools=True)
WIRE = UPSTREAMS["openai-responses"]
EVENT = TypeAdapter(ResponseStreamEvent)

PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch"},
}
SPAWN = {"type": "function", "name": "spawn", "parameters": {"type": "object", "properties": {}}, "strict": False}
AGENTS = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [SPAWN, PATCH]}
TOOLS = [
    {"type": "function", "name": "exec", "description": "d", "parameters": {"type": "object"}, "strict": False},
    PATCH,
    AGENTS,
    {"type": "web_search", "external_web_access": False},
    {"type": "local_shell"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "apply_patch"},
    {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": {"type": "object"}},
    {"type": "mcp", "server_label": "s", "server_url": "https://s.example"},
    {"type": "image_generation"},
]


SEAL = seal_for(b"s" * 32, None)


def read(**fields):
    body = {"model": "openclaw", "input": "hi", "store": False, **fields}
    return ResponsesIngress.read(json.dumps(body).encode())


def sent(**fields):
    """What a provider of the format gets."""
    return json.loads(WIRE.request(read(**fields).turn(SEAL), MODEL).body)


def test_a_provider_of_the_format_gets_every_tool_as_the_client_sent_it():
    tools = [tool for tool in TOOLS if tool["type"] != "apply_patch"]
    assert sent(tools=tools)["tools"] == tools


def test_the_response_repeats_the_tools():
    ingress = read(tools=TOOLS[1:4])
    assert ingress.echo(ingress.turn())["tools"] == TOOLS[1:4]


@pytest.mark.parametrize(
    ("raw", "choice"),
    [
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("pinned", "apply_patch", "custom")),
        ({"type": "web_search"}, ToolChoice("pinned", "web_search", "hosted")),
        ({"type": "local_shell"}, ToolChoice("pinned", "local_shell", "local_shell")),
        (
            {"type": "function", "name": "spawn", "namespace": "agents"},
            ToolChoice("pinned", "spawn", "function", "agents"),
        ),
    ],
)
def test_a_tool_choice_of_every_kind_is_understood_and_sent_on(raw, choice):
    tools = [tool for tool in TOOLS if tool["type"] != "apply_patch"]
    assert read(tools=tools, tool_choice=raw).turn().tool_choice == choice
    assert sent(tools=tools, tool_choice=raw)["tool_choice"] == raw


def test_a_choice_that_no_tool_has_and_tools_that_are_no_list_are_no_internal_error():
    with pytest.raises(BadRequest):
        read(tools=[{"type": "web_search"}], tool_choice={"type": "web_search", "server_label": "s"}).turn()
    for tools in (5, "x", {"a": 1}):
        items = [{"role": "user", "content": "hi"}, {"type": "tool_search_output", "call_id": "c", "tools": tools}]
        assert read(input=items).turn().tools == ()


def test_allowed_tools_of_every_kind_are_the_only_ones_offered():
    entries = [{"type": "custom", "name": "apply_patch"}, {"type": "mcp", "server_label": "s"}]
    tools = [tool for tool in TOOLS if tool["type"] != "apply_patch"]
    turn = read(tools=tools, tool_choice={"type": "allowed_tools", "mode": "required", "tools": entries}).turn()
    assert [tool.name for tool in turn.tools if tool.namespace is None] == ["apply_patch", "s"]
    assert turn.tool_choice == ToolChoice("required")


def test_tools_in_the_input_are_offered_and_stay_in_their_place_for_a_provider_of_the_format():
    added = {"type": "additional_tools", "role": "developer", "tools": [AGENTS]}
    items = [added, {"type": "message", "role": "user", "content": "hi"}]
    turn = read(input=items).turn()
    assert [(tool.namespace, tool.name) for tool in turn.tools] == [("agents", "spawn"), ("agents", "apply_patch")]
    body = sent(input=items)
    assert body["input"] == items
    assert "tools" not in body


def test_tools_that_a_search_found_are_offered():
    result = {"type": "tool_search_output", "call_id": "c", "execution": "client", "status": "completed"}
    call = {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "x"}}
    call["status"] = "completed"
    items = [{"role": "user", "content": "hi"}, call, result | {"tools": [AGENTS]}]
    assert [tool.name for tool in read(input=items).turn().tools] == ["spawn", "apply_patch"]
    assert sent(input=items)["input"][1:] == [call, result | {"tools": [AGENTS]}]


ITEMS = [
    {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done"},
    {"type": "function_call", "call_id": "c2", "name": "spawn", "arguments": "{}", "namespace": "agents"},
    {"type": "function_call_output", "call_id": "c2", "output": "ok"},
    {
        "type": "local_shell_call",
        "id": "c3",
        "call_id": "c3",
        "action": {"type": "exec", "env": {}, "command": ["ls"]},
        "status": "completed",
    },
    {"type": "local_shell_call_output", "id": "c3", "output": "a.txt"},
    {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}, "status": "completed"},
    {
        "type": "shell_call_output",
        "call_id": "c4",
        "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    },
    {
        "type": "apply_patch_call",
        "call_id": "c5",
        "operation": {"type": "delete_file", "path": "a"},
        "status": "completed",
    },
    {"type": "apply_patch_call_output", "call_id": "c5", "status": "completed", "output": "gone"},
    {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "computer_call", "id": "cu", "call_id": "c6", "action": {"type": "click"}, "status": "completed"},
    {
        "type": "computer_call_output",
        "call_id": "c6",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="},
    },
    {"type": "compaction", "encrypted_content": "of the provider"},
]


def test_items_of_every_type_go_back_to_a_provider_of_the_format_as_they_came():
    first = {"type": "message", "role": "user", "content": "hi"}
    got = sent(input=[first, *ITEMS])["input"]
    assert [item for item in got if item.get("role") != "user"] == ITEMS


CALLS = [
    ("custom", "apply_patch", "*** Begin", {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin"}),
    ("function", "exec", '{"a": 1}', {"type": "function_call", "name": "exec", "arguments": '{"a": 1}'}),
    (
        "local_shell",
        "local_shell",
        '{"command":"ls -l"}',
        {"type": "local_shell_call", "action": {"type": "exec", "env": {}, "command": ["bash", "-lc", "ls -l"]}},
    ),
    ("shell", "shell", '{"commands":["ls"]}', {"type": "shell_call", "action": {"commands": ["ls"]}}),
    (
        "apply_patch",
        "apply_patch",
        '{"type":"update_file","path":"a","diff":"-x"}',
        {"type": "apply_patch_call", "operation": {"type": "update_file", "path": "a", "diff": "-x"}},
    ),
    (
        "tool_search",
        "tool_search",
        '{"query":"q"}',
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "q"}},
    ),
    ("shell", "shell", "no json", {"type": "shell_call", "action": {"commands": []}}),
]


@pytest.mark.parametrize(("kind", "name", "arguments", "item"), CALLS)
def test_a_call_comes_back_in_its_own_item_type_streamed_and_whole(kind, name, arguments, item):
    ingress = read(tools=TOOLS[:1])
    head = Head("resp_1", 1, "m", ingress.echo(ingress.turn()))
    events = [ToolCallBegin(0, "c1", name, kind=kind), ToolCallDelta(0, arguments), Finish("tool_calls")]
    renderer = Renderer(head, now=lambda: 2)
    body = renderer.feed(events) + renderer.close()
    frames = [json.loads(frame.partition(b"\ndata: ")[2]) for frame in body.split(b"\n\n")[:-2]]
    for frame in frames:
        EVENT.validate_python(frame)
    whole = answer_object(accumulated(events), head, completed=2)
    Response.model_validate(whole)
    (streamed,) = frames[-1]["response"]["output"]
    assert streamed == whole["output"][0]
    assert {"call_id": "c1", **item}.items() <= streamed.items()
    assert "".join(frame["delta"] for frame in frames if "delta" in frame) == (
        arguments if kind in ("custom", "function") else ""
    )


def answered(*output, status="completed"):
    """The events of a provider's response with these items, whole and streamed."""
    response = {"object": "response", "status": status, "output": list(output)}
    whole = WIRE.parse_answer(json.dumps(response).encode(), MODEL)
    parser = WIRE.parser(MODEL)
    frames = [
        {"type": "response.output_item.done", "output_index": index, "item": item} for index, item in enumerate(output)
    ]
    frames.append({"type": "response.completed", "response": {"status": status}})
    stream = b"".join(b"event: x\ndata: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)
    streamed = [*parser.feed(stream), *parser.close()]
    assert accumulated(streamed) == accumulated(whole)
    return accumulated(whole)


@pytest.mark.parametrize(("kind", "name", "arguments", "item"), CALLS[:2] + CALLS[3:6])
def test_calls_of_a_provider_of_the_format_are_understood(kind, name, arguments, item):
    (call,) = answered({"id": "x", "call_id": "c1", "status": "completed", **item}).tool_calls
    assert (call.id, call.name, call.kind, json.loads(call.arguments) if kind != "custom" else None) == (
        "c1",
        name,
        kind,
        json.loads(arguments) if kind != "custom" else None,
    )


def test_items_of_hosted_tools_come_to_the_client_in_their_place_and_go_back():
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Found."}]}
    answer = answered(search, text)
    assert answer.interleaved[0] == Foreign("openai-responses", {"item": search}, "")
    ingress = read()
    turn = ingress.turn()
    head = Head("resp_1", 1, "m", ingress.echo(turn))
    shown = answer_object(answer, head, completed=2)["output"]
    assert shown[0] == search | {"id": "ws_1_0"}
    assert [item["type"] for item in shown] == ["web_search_call", "message"]
    again = sent(input=[{"role": "user", "content": "hi"}, *shown])["input"]
    assert again[1] == {name: value for name, value in search.items() if name != "id"}


def test_reasoning_comes_back_byte_for_byte_directly_before_its_call():
    summary = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": "e=="}
    call = {"type": "function_call", "call_id": "c1", "name": "exec", "arguments": "{}"}
    answer = answered(reasoning, call, {**reasoning, "id": "rs_2", "summary": []}, {**call, "call_id": "c2"})
    assert [block.owner for block in answer.thinking] == [Owner("openai-responses", "openai", "gpt-5.5")] * 2
    ingress = read(include=["reasoning.encrypted_content"])
    head = Head("resp_1", 1, "m", ingress.echo(ingress.turn()), SEAL)
    shown = answer_object(answer, head, completed=2)["output"]
    outputs = [{"type": "function_call_output", "call_id": name, "output": "x"} for name in ("c1", "c2")]
    body = sent(input=[{"role": "user", "content": "hi"}, *shown, *outputs])
    assert body["input"][1:] == [
        reasoning,
        call,
        {**reasoning, "id": "rs_2", "summary": []},
        {**call, "call_id": "c2"},
        *outputs,
    ]
    assert body["include"] == ["reasoning.encrypted_content"]


def test_reasoning_without_a_successor_is_left_out():
    answer = answered({"type": "reasoning", "summary": [], "encrypted_content": "e"}, status="incomplete")
    assert answer.messages() == ()
