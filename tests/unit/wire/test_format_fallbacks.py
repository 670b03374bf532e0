"""A fallback of every format takes over from a provider of every format, through the whole application."""

import pytest

from gateway.core.answer import Answer
from gateway.core.message import ToolCall
from gateway.tools import configured as tools_of_configuration
from tests.unit.wire.clients import CLIENTS, Question, visible
from tests.unit.wire.every_format import (
    ANSWERS,
    ASK,
    TEXT,
    THOUGHT,
    USAGE,
    calls_of,
    read,
)
from tests.unit.wire.own_tools import AS_FUNCTIONS, OWN_ITEMS, OWN_TOOLS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_fallback_of_any_format_answers_without_reasoning_that_is_not_its_own(house, fallback, ask):
    for client in CLIENTS:
        house.answers(ANSWERS["thinking and calls"])
        house.refuses("Too many people.")
        fallback.answers(ANSWERS["thinking"])
        first = client.body(ASK, stream=False)
        _, body = await ask(client, first)
        calls = calls_of(house, stream=True)  # with a fallback, also a whole answer is asked for as a stream
        results = [(call.id, "a cat") for call in calls]
        status, body = await ask(client, client.followed(first, client.returned(body, stream=False), results))
        seen = client.sees(visible(fallback.says.received(ANSWERS["thinking"], stream=False)), stream=False)
        assert (status, read(client, status, body, stream=False)) == (200, seen), client.path
        assert fallback.asked.pop()["messages"] == [
            *ASK.messages,
            ["assistant", *(["call", call.id, call.name, client.arguments(call.arguments)] for call in calls)],
            *(["tool", ["result", call.id, ["text", "a cat"]]] for call in calls),
        ], client.path


PAIRS = [
    ("openai-completions", "anthropic-messages"),
    ("anthropic-messages", "openai-completions"),
    ("anthropic-messages", "bedrock-converse-stream"),
    ("bedrock-converse-stream", "openai-responses"),
]


@pytest.fixture
def patient_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway waits for its tool servers as long as a busy machine needs."""
    monkeypatch.setattr(tools_of_configuration, "_START_TIMEOUT", 60.0)


@pytest.mark.usefixtures("patient_start")
@pytest.mark.parametrize(("house", "fallback"), PAIRS, indirect=True)
async def test_a_fallback_goes_on_with_the_work_of_the_agents_own_tools(house, fallback, config, served, tool_server):
    config["mcp"] = {"servers": {"local": {"url": tool_server.url}}}
    gateway = await served(config)
    call = ToolCall("call:1" if house.says.SIGNS else "call_1", "local__weather", '{"city": "Oslo"}')
    house.answers(Answer("I'll look.", "tool_calls", USAGE, (call,), (THOUGHT,)))
    house.refuses("Too many people.")
    fallback.answers(ANSWERS["text"])
    client = CLIENTS[0]
    async with gateway.post(client.path, json=client.body(Question(ASK.messages), stream=True)) as response:
        seen = client.stream(await response.read())
    assert (seen.error, seen.finish) == (None, "stop")
    assert seen.text.endswith(TEXT)
    called, worked = fallback.asked[0]["messages"][1:]
    kinds = [part[0] for part in called[1:]]
    assert kinds == ["text", "call"]
    assert called[-1][2:] == ["local__weather", call.arguments]
    assert worked[1][:2] == ["result", called[-1][1]]


async def test_a_fallback_of_any_format_finishes_an_answer_that_broke_off(house, fallback, ask):
    frames = house.says.frames(ANSWERS["text and calls"])
    for number, client in enumerate(CLIENTS, 1):
        house.sends(frames[: len(frames) // 2], stream=True)
        fallback.answers(ANSWERS["text and calls"])
        status, body = await ask(client, client.body(ASK, stream=True))
        seen = client.sees(visible(fallback.says.received(ANSWERS["text and calls"], stream=True)), stream=True)
        assert (status, read(client, status, body, stream=True)) == (200, seen), client.path
        assert len(fallback.asked) == number


async def test_a_fallback_of_another_format_gets_the_tools_and_calls_as_functions(open_house, config, served):
    house = await open_house("house", "openai-responses")
    fallback = await open_house("fallback", "openai-completions")
    config["agents"]["defaults"]["model"]["fallbacks"] = ["fallback/small"]
    gateway = await served(config)
    client = CLIENTS[1]
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
    house.answers(Answer(None, "tool_calls", USAGE, [search | {"call_id": "ws_1"}, *OWN_ITEMS]))
    house.refuses("Too many people.")
    fallback.answers(Answer(None, "tool_calls", USAGE, AS_FUNCTIONS[:1]))
    first = client.body(ASK, stream=True) | {"tools": OWN_TOOLS}
    async with gateway.post(client.path, json=first) as response:
        returned = client.returned(await response.read(), stream=True)
    assert [item["type"] for item in returned] == ["web_search_call", *(item["type"] for item in OWN_ITEMS)]
    outputs = [{"type": item["type"] + "_output", "call_id": item["call_id"], "output": "a cat"} for item in OWN_ITEMS]
    async with gateway.post(client.path, json=first | {"input": [*first["input"], *returned, *outputs]}) as response:
        (call,) = client.returned(await response.read(), stream=True)
    assert (call["type"], call["input"]) == ("custom_tool_call", OWN_ITEMS[0]["input"])
    sent = fallback.asked[0]
    assert [tool[0] for tool in sent["tools"]] == [function.name for function in AS_FUNCTIONS]
    assert [message[0] for message in sent["messages"]].count("tool") == 4
    names = [part[2] for message in sent["messages"] for part in message[1:] if part[0] == "call"]
    assert names == ["web_search", *(function.name for function in AS_FUNCTIONS)]
