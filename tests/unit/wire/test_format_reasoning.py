"""Reasoning goes back to the model that it came from and to no other, in every provider's and client's format."""

import base64
import json

import pytest

from gateway.core.answer import Answer
from gateway.core.message import Thinking, ToolCall
from tests.unit.wire.clients import CLIENTS, visible
from tests.unit.wire.every_format import (
    ANSWERS,
    ASK,
    CALLS,
    THOUGHT,
    USAGE,
    calls_of,
    each_client,
    each_way,
    read,
)
from tests.unit.wire.formats import PROVIDERS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@each_client
@each_way
@pytest.mark.parametrize("forgets", [False, True], ids=["returned", "dropped"])
async def test_reasoning_goes_back_to_its_model_with_the_call_that_it_led_to(house, ask, client, stream, forgets):
    house.answers(ANSWERS["thinking and calls"])
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream)
    _, body = await ask(client, first)
    returned = client.returned(body, stream=stream)
    if forgets:
        returned = client.forgetful(returned)
    calls = calls_of(house, stream=stream)
    results = [(call.id, "a cat") for call in calls]
    status, _ = await ask(client, client.followed(first, returned, results))
    assert status == 200
    assert house.asked[1]["messages"] == [
        *ASK.messages,
        [
            "assistant",
            house.says.thought(THOUGHT),
            *(["call", call.id, call.name, client.arguments(call.arguments)] for call in calls),
        ],
        *(["tool", ["result", call.id, ["text", "a cat"]]] for call in calls),
    ]


@each_client
@each_way
@pytest.mark.parametrize("house", [api for api, says in PROVIDERS.items() if says.SIGNS], indirect=True)
async def test_reasoning_that_has_only_a_signature_goes_back_too(house, ask, client, stream):
    blocks = (Thinking("", "b25l"), Thinking("Then?", "dHdv"), Thinking("", "dGhyZWU="))
    house.answers(Answer(None, "tool_calls", USAGE, CALLS[:1], blocks))
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream)
    _, body = await ask(client, first)
    status, _ = await ask(client, client.followed(first, client.returned(body, stream=stream), [("call_1", "a cat")]))
    assert status == 200
    _, *parts, call = house.asked[1]["messages"][1]
    assert parts == [house.says.thought(block) for block in blocks]
    assert call[:2] == ["call", "call_1"]


@each_client
@each_way
@pytest.mark.parametrize("forgets", [False, True], ids=["returned", "dropped"])
async def test_a_loop_of_three_rounds_has_all_of_its_reasoning_in_order(house, ask, client, stream, forgets):
    signatures = [base64.b64encode(b"sig%d" % number).decode() for number in range(3)]
    thoughts = [Thinking(f"Thought {number}.", signature) for number, signature in enumerate(signatures)]
    calls = [ToolCall(f"call_{number}", "look", f'{{"at": {number}}}') for number in range(3)]
    body = client.body(ASK, stream=stream)
    for thought, call in zip(thoughts, calls, strict=True):
        house.answers(Answer(None, "tool_calls", USAGE, (call,), (thought,)))
        _, answer = await ask(client, body)
        returned = client.returned(answer, stream=stream)
        body = client.followed(body, client.forgetful(returned) if forgets else returned, [(call.id, "a cat")])
    house.answers(ANSWERS["text"])
    status, answer = await ask(client, body)
    seen = client.sees(visible(house.says.received(ANSWERS["text"], stream=stream)), stream=stream)
    assert (status, read(client, status, answer, stream=stream)) == (200, seen)
    _, *steps = house.asked[3]["messages"]
    assert steps == [
        message
        for thought, call in zip(thoughts, calls, strict=True)
        for message in (
            ["assistant", house.says.thought(thought), ["call", call.id, call.name, client.arguments(call.arguments)]],
            ["tool", ["result", call.id, ["text", "a cat"]]],
        )
    ]


async def test_a_stored_response_returns_reasoning_to_its_model(house, ask):
    client = CLIENTS[1]
    house.answers(ANSWERS["thinking and calls"])
    house.answers(ANSWERS["text"])
    _, body = await ask(client, client.body(ASK, stream=False) | {"store": True})
    outputs = [{"type": "function_call_output", "call_id": call.id, "output": "a cat"} for call in CALLS]
    status, _ = await ask(
        client, {"model": "openclaw", "previous_response_id": json.loads(body)["id"], "input": outputs}
    )
    assert status == 200
    assert house.says.thought(THOUGHT) in house.asked[1]["messages"][1]
