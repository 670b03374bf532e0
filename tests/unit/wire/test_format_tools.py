"""Tools, what they return, and files: every provider's format with every client's, through the whole application."""

import base64
import json

import pytest

from gateway import wire
from gateway.core.answer import Answer
from gateway.core.message import ToolCall
from tests.pdf import make_pdf
from tests.unit.wire.clients import CLIENTS, Question, error_of
from tests.unit.wire.every_format import (
    ANSWERS,
    ASK,
    CALLS,
    PIXEL,
    TOOLS,
    USAGE,
    each_client,
    each_way,
    read,
)
from tests.unit.wire.formats import PROVIDERS
from tests.unit.wire.own_tools import AS_FUNCTIONS, OWN_ITEMS, OWN_TOOLS

pytestmark = pytest.mark.asyncio(loop_scope="module")


OWN_PROVIDERS = [PROVIDERS[name] for name in wire.OWN_TOOLS]


@each_client
async def test_a_picture_that_a_tool_returned_reaches_the_model(house, ask, client):
    house.answers(ANSWERS["parallel calls"])
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=False)
    _, body = await ask(client, first)
    results = [(CALLS[0].id, client.pictured("a cat", PIXEL)), (CALLS[1].id, "a dog")]
    status, _ = await ask(client, client.followed(first, client.returned(body, stream=False), results))
    assert status == 200
    parts = [part for message in house.asked[1]["messages"][2:] for part in message[1:]]
    texts = [part[2:] if part[0] == "result" else [part] for part in parts]
    assert ["image", PIXEL] in [one for inner in texts for one in inner]
    assert [part[:2] for part in parts if part[0] == "result"] == [["result", call.id] for call in CALLS]


@each_way
@pytest.mark.parametrize("given", ["", "same"])
@pytest.mark.parametrize("house", wire.UPSTREAMS, indirect=True)
async def test_each_call_of_a_conversation_has_an_id_of_its_own(house, ask, stream, given):
    client, ids = CLIENTS[0], []
    for _ in range(2):
        house.answers(Answer(None, "tool_calls", USAGE, (ToolCall(given, "look", "{}"),) * 2))
        status, body = await ask(client, client.body(ASK, stream=stream))
        ids.append([call[0] for call in read(client, status, body, stream=stream).calls])
    assert all(len({*answer}) == 2 and all(answer) for answer in ids)
    assert {*ids[0]} & {*ids[1]} <= {"same"}  # the provider's own


@each_client
@each_way
@pytest.mark.parametrize("house", [api for api, says in PROVIDERS.items() if says.PDFS], indirect=True)
async def test_a_pdf_reaches_a_model_that_reads_it_as_it_is(house, ask, client, stream):
    data = base64.b64encode(make_pdf("Hello")).decode()
    house.answers(ANSWERS["text"])
    body = client.body(ASK, stream=stream)
    field = "messages" if "messages" in body else "input"
    body[field] = [*body[field], *client.file("a.pdf", f"data:application/pdf;base64,{data}")]
    status, _ = await ask(client, body)
    assert status == 200
    assert data in json.dumps(house.asked[0]["messages"][-1])


@each_way
async def test_tools_that_are_no_functions_work_with_every_format_and_come_back_as_the_client_knows_them(
    house, ask, stream
):
    client = CLIENTS[1]
    native = house.says in OWN_PROVIDERS
    house.answers(Answer(None, "tool_calls", USAGE, OWN_ITEMS if native else AS_FUNCTIONS))
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream) | {"tools": OWN_TOOLS}
    _, body = await ask(client, first)
    returned = client.returned(body, stream=stream)
    assert [{name: item[name] for name in known} for item, known in zip(returned, OWN_ITEMS, strict=True)] == OWN_ITEMS
    outputs = [{"type": item["type"] + "_output", "call_id": item["call_id"], "output": "a cat"} for item in OWN_ITEMS]
    status, _ = await ask(client, {**first, "input": [*first["input"], *returned, *outputs]})
    assert status == 200
    _, *history = house.asked[1]["messages"]
    if native:
        spawn = OWN_TOOLS[1]["tools"][0] | {"strict": False}
        assert house.bodies[1]["tools"] == [OWN_TOOLS[0], {**OWN_TOOLS[1], "tools": [spawn]}, *OWN_TOOLS[2:]]
        shell = {"id": "call_3", "status": "completed", **OWN_ITEMS[2]}
        shell_output = {"type": "local_shell_call_output", "id": "call_3", "output": "a cat"}
        assert house.bodies[1]["input"][1:] == [*OWN_ITEMS[:2], shell, *outputs[:2], shell_output]
    else:
        assert [tool[0] for tool in house.asked[1]["tools"]] == [call.name for call in AS_FUNCTIONS]
        calls = [["call", call.id, call.name, json.loads(call.arguments)] for call in AS_FUNCTIONS]
        assert [[*call[:3], json.loads(call[3])] for call in history[0][1:]] == calls
        assert history[1:] == [["tool", ["result", call.id, ["text", "a cat"]]] for call in AS_FUNCTIONS]


async def test_a_picture_that_a_clients_tool_returns_reaches_the_model_in_every_format(house, ask):
    client = CLIENTS[1]
    house.answers(ANSWERS["text"])
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    picture = [{"type": "input_text", "text": "This:"}, {"type": "input_image", "image_url": PIXEL}]
    output = {"type": "function_call_output", "call_id": "call_1", "output": picture}
    body = client.body(ASK, stream=False)
    status, _ = await ask(client, body | {"input": [*body["input"], call, output]})
    assert status == 200
    assert (
        PIXEL.partition(",")[2] in json.dumps(house.bodies[0])
        if house.bodies
        else ["image", PIXEL] in (house.asked[0]["messages"][2][1])
    )


@each_way
async def test_a_chat_clients_custom_tool_works_with_every_format(house, ask, stream):
    client = CLIENTS[0]
    native = house.says in OWN_PROVIDERS
    house.answers(Answer(None, "tool_calls", USAGE, OWN_ITEMS[:1] if native else AS_FUNCTIONS[:1]))
    house.answers(ANSWERS["text"])
    tool = {"type": "custom", "custom": {"name": "apply_patch", "description": "Edits."}}
    first = client.body(ASK, stream=stream) | {"tools": [tool], "tool_choice": "required"}
    _, body = await ask(client, first)
    called = {"name": "apply_patch", "input": OWN_ITEMS[0]["input"]}
    if stream:
        payloads = [json.loads(frame.removeprefix(b"data: ")) for frame in body.split(b"\n\n")[:-2]]
        deltas = [choice["delta"] for payload in payloads for choice in payload["choices"]]
        pieces = [call["custom"] for delta in deltas for call in delta.get("tool_calls", ())]
        assert {name: "".join(piece.get(name, "") for piece in pieces) for name in called} == called
    else:
        (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]
        assert call == {"id": "call_1", "type": "custom", "custom": called}
    message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "custom", "custom": called}]}
    following = client.followed(first, [message], [("call_1", "done")]) | {"tool_choice": "auto"}
    status, _ = await ask(client, following)
    assert status == 200
    if native:
        assert house.bodies[1]["input"][1:] == [
            OWN_ITEMS[0],
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
        ]
    else:
        assert house.asked[1]["messages"][-1] == ["tool", ["result", "call_1", ["text", "done"]]]
        (*_, arguments) = house.asked[1]["messages"][-2][-1]
        assert json.loads(arguments) == {"input": OWN_ITEMS[0]["input"]}


@pytest.mark.parametrize("house", sorted(PROVIDERS.keys() - wire.OWN_TOOLS), indirect=True)
async def test_a_demanded_tool_that_the_provider_does_not_run_is_refused_by_name(house, ask):
    client = CLIENTS[1]
    body = client.body(ASK, stream=True) | {"tools": OWN_TOOLS, "tool_choice": {"type": "web_search"}}
    status, answer = await ask(client, body)
    assert (status, house.asked) == (400, [])
    assert "web_search" in answer.decode()


@each_way
async def test_a_stop_sequence_ends_the_answer_in_every_format(house, ask, stream):
    client = CLIENTS[0]
    whole = house.says in OWN_PROVIDERS  # the format has no stop sequences: the provider writes on
    answer = Answer("One. END Two." if whole else "One. ", "stop", USAGE)
    house.answers(answer)
    status, body = await ask(client, client.body(ASK, stream=stream) | {"stop": ["END"]})
    seen = read(client, status, body, stream=stream)
    assert (seen.text, seen.finish, seen.tokens[:2]) == ("One. ", "stop", (USAGE.prompt, USAGE.completion))
    assert house.asked[0]["settings"].get("stop") == (None if whole else ["END"])


@each_client
@each_way
@pytest.mark.parametrize("house", ["ollama"], indirect=True)
async def test_a_model_that_cannot_be_forced_is_asked_twice_for_a_demanded_call(house, ask, client, stream):
    body = client.body(Question([["user", ["text", "hi"]]], TOOLS, pinned="look"), stream=stream)
    house.answers(ANSWERS["text"])
    house.answers(ANSWERS["one call"])
    status, answer = await ask(client, body)
    seen = read(client, status, answer, stream=stream)
    assert (status, [name for _, name, _ in seen.calls]) == (200, ["look"])
    assert seen.tokens[:2] == (2 * USAGE.prompt, 2 * USAGE.completion)
    house.answers(ANSWERS["text"])
    house.answers(ANSWERS["text"])
    status, answer = await ask(client, body)
    assert status == 502
    assert "required a look tool call" in error_of(answer).error
    assert len(house.asked) == 4
