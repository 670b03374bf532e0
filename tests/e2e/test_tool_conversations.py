"""Conversations and background runs of an agent that runs tools itself, with a real tool server."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.e2e.answers import in_turn, says

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = Path(__file__).parents[1] / "tool_server.py"
PARAMETERS = {"type": "object", "properties": {}}
CHAT_TOOL = {"type": "function", "function": {"name": "ask_user", "parameters": PARAMETERS}}
FLAT_TOOL = {"type": "function", "name": "ask_user", "parameters": PARAMETERS}
CALL = ("c1", "local__weather", '{"city": "Oslo"}')
CALLING = {"finish": "tool_calls"}
FIRST, THEN = {"role": "user", "content": "Weather?"}, {"role": "user", "content": "And there?"}
WORK = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": CALL[1], "arguments": CALL[2]}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "Oslo: 5C"},
]
COLD = "Let me see.\n\nCold."


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def config(config, notes):
    config["mcp"] = {"servers": {"local": {"command": sys.executable, "args": [str(SERVER), str(notes)]}}}
    return config


async def until(condition, within=20.0):
    async with asyncio.timeout(within):
        while not (seen := condition()):
            await asyncio.sleep(0.01)
    return seen


@pytest.fixture
def asking(official, provider):
    def build(*answers):
        model = provider.model(in_turn(*answers))
        return official.with_options(default_headers=model.chosen), model

    return build


def shown(model):
    """The messages of the last request to the model."""
    return model.asked[-1].body["messages"]


async def chat_answer(client, messages, *, stream, **more):
    if not stream:
        return (await client.chat.completions.create(model="openclaw", messages=messages, **more)).choices[0].message
    async with client.chat.completions.stream(model="openclaw", messages=messages, **more) as events:
        return (await events.get_final_completion()).choices[0].message


@pytest.mark.parametrize("sends", ["what is new", "everything"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_conversation_stores_the_results_of_the_agents_tools(asking, client, stream, sends):
    chat, model = asking(says("Let me| see.", CALL, **CALLING), says("Cold."), says("There, too."))
    user = {"user": f"keeps-{stream}-{sends.replace(' ', '-')}"}
    assert (await chat_answer(chat, [FIRST], stream=stream, **user)).content == COLD
    known = [FIRST, {"role": "assistant", "content": COLD}] if sends == "everything" else []
    assert (await chat_answer(chat, [*known, THEN], stream=stream, **user)).content == "There, too."
    assert shown(model) == [FIRST, *WORK, {"role": "assistant", "content": COLD}, THEN]
    async with client.get(f"/api/v1/sessions/agent:main:openai-user:{user['user']}/export") as response:
        entries = [json.loads(line) for line in (await response.text()).splitlines()]
    stored = [message for entry in entries for message in entry.get("messages", ())]
    assert [message.get("hidden", False) for message in stored] == [False, True, True, False, False, False]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("how", ["previous", "user", "stateless"])
async def test_a_chain_of_responses_stores_the_results_of_the_agents_tools(asking, stream, how):
    client, model = asking(says("Let me| see.", CALL, **CALLING), says("Cold."), says("There, too."))

    async def ask(text, **more):
        if not stream:
            return await client.responses.create(model="openclaw", input=text, **more)
        async with client.responses.stream(model="openclaw", input=text, **more) as events:
            async for _ in events:
                pass
            return await events.get_final_response()

    more = {"user": f"chain-{stream}"} if how == "user" else {}
    first = await ask("Weather?", **more)
    assert first.output_text == COLD
    assert [item.type for item in first.output] == ["message"]
    if how == "previous":
        more = {"previous_response_id": first.id}
    assert (await ask("And there?", **more)).output_text == "There, too."
    answer = {"role": "assistant", "content": COLD}
    assert shown(model) == ([FIRST, *WORK, answer, THEN] if how != "stateless" else [THEN])


async def test_calls_before_a_call_of_the_clients_tool_are_not_repeated(asking):
    """After the agent's own call, the answer to a call of the client's tool still has the earlier result."""
    own = ("c2", "ask_user", "{}")
    chat, model = asking(says(None, CALL, **CALLING), says(None, own, **CALLING), says("All right."))
    more = {"user": "asks", "tools": [CHAT_TOOL]}
    answer = await chat_answer(chat, [FIRST], stream=False, **more)
    assert [call.id for call in answer.tool_calls] == ["c2"]
    result = {"role": "tool", "tool_call_id": "c2", "content": "yes"}
    assert (await chat_answer(chat, [result], stream=False, **more)).content == "All right."
    function = {"name": "ask_user", "arguments": "{}"}
    asked = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c2", "type": "function", "function": function}],
    }
    assert shown(model) == [FIRST, *WORK, asked, result]


async def test_a_run_in_the_background_runs_tools_and_is_continued(asking):
    client, model = asking(says("Let me| see.", CALL, **CALLING), says("Co|ld."), says("There, too."))
    created = await client.responses.create(model="openclaw", input="Weather?", background=True, stream=True)
    events = [event async for event in created]
    assert events[-1].type == "response.completed"
    response = events[-1].response
    assert response.output_text == COLD
    resumed = await client.responses.retrieve(response.id, stream=True, starting_after=events[3].sequence_number)
    assert [event.sequence_number async for event in resumed] == [event.sequence_number for event in events[4:]]
    polled = await client.responses.retrieve(response.id)
    assert (polled.status, polled.output_text, polled.usage.total_tokens) == ("completed", COLD, 36)
    after = await client.responses.create(model="openclaw", input="And there?", previous_response_id=response.id)
    assert after.output_text == "There, too."
    assert shown(model) == [FIRST, *WORK, {"role": "assistant", "content": COLD}, THEN]


async def test_a_run_in_the_background_is_cancelled_in_the_middle_of_a_tools_call(asking, notes):
    client, model = asking(says("Let me see.", ("c1", "local__hang", "{}"), **CALLING), says("never"))
    created = await client.responses.create(model="openclaw", input="Weather?", background=True)
    await until((notes / "hanging").exists)
    ended = await client.responses.cancel(created.id)
    assert ended.status == "cancelled"
    await until((notes / "cancelled").exists, within=5)
    assert (await client.responses.retrieve(created.id)).status == "cancelled"
    assert len(model.asked) == 1
