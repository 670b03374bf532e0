"""Reasoning that one gateway has stored and another needs; both on one Redis."""

import asyncio

import openai
import pytest
import pytest_asyncio

from tests.e2e.answers import DONE, SEEN, chunk, in_turn, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

THOUGHT = "First I look. Caf\u00e9 \U0001f914."
DETAILS = [{"type": "reasoning.text", "text": THOUGHT, "signature": "EqQB+/w==", "format": "x-v1", "index": 0}]
SHAPES = {
    "reasoning_content": {"reasoning_content": THOUGHT},
    "reasoning": {"reasoning": THOUGHT},
    "reasoning_details": {"reasoning": THOUGHT, "reasoning_details": DETAILS},
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "door"}'}}
PARAMETERS = {"type": "object", "properties": {}}
CHAT_TOOL = {"type": "function", "function": {"name": "look", "parameters": PARAMETERS}}
RESPONSES_TOOL = {"type": "function", "name": "look", "parameters": PARAMETERS}
ASK = [{"role": "user", "content": "hi"}]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "open"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "open"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def config(config, redis):
    config["gateway"]["redis"] = {"url": redis.url, "keyPrefix": "ours"}
    return config


def client_of(gateway):
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", max_retries=0, http_client=http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(config, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    async with (
        serving(one, config) as first,
        serving(two, config) as second,
        client_of(first) as a,
        client_of(second) as b,
    ):
        yield a, b


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture
def asked(both, provider, shape):
    """The clients of both gateways, for a model that thinks and calls a tool, then answers with text."""
    thinks = streams(chunk(shape), chunk({"tool_calls": [CALL]}), chunk({}, "tool_calls"), DONE)
    model = provider.model(in_turn(thinks, says("Open."), says("Yes.")))
    return model, *(client.with_options(default_headers=model.chosen) for client in both)


def returned(model):
    """The reasoning in each assistant's message of the last request."""
    messages = model.asked[-1].body["messages"]
    names = ("reasoning_content", "reasoning", "reasoning_details")
    return [
        {name: message[name] for name in names if name in message}
        for message in messages
        if message["role"] == "assistant"
    ]


async def chat(client, messages):
    async with client.chat.completions.stream(model="openclaw", messages=messages, tools=[CHAT_TOOL]) as events:
        reply = (await events.get_final_completion()).choices[0].message
    calls = [{"id": call.id, "type": "function", "function": CALL["function"]} for call in reply.tool_calls or ()]
    return {"role": "assistant", "content": reply.content} | ({"tool_calls": calls} if calls else {})


async def respond(client, given, **more):
    async with client.responses.stream(model="openclaw", input=given, tools=[RESPONSES_TOOL], **more) as events:
        return await events.get_final_response()


async def test_one_restores_what_a_client_of_the_other_has_dropped(asked, shape, redis):
    await redis.flush()
    model, one, two = asked
    reply = await chat(one, ASK)
    await chat(two, [*ASK, reply, RESULT])
    assert returned(model) == [shape]
    (name,) = await redis.ask("KEYS", "*reasoning*")
    assert name.startswith("ours:reasoning:")
    assert "call_1" not in name
    assert 0 < await redis.ask("TTL", name) <= 24 * 3600


async def test_one_continues_a_response_of_the_other(asked, shape):
    model, one, two = asked
    first = await respond(one, ASK)
    await respond(two, [OUTPUT], previous_response_id=first.id)
    assert returned(model) == [shape]


async def test_one_continues_a_conversation_of_the_other(asked, shape):
    model, one, two = asked
    key = {"x-openclaw-session-key": f"app:{model.id}"}
    await chat(one.with_options(default_headers=model.chosen | key), ASK)
    await chat(two.with_options(default_headers=model.chosen | key), [RESULT])
    assert returned(model) == [shape]


async def test_a_run_goes_on_when_the_reasoning_store_is_away(asked, shape, redis):
    model, one, two = asked
    reply = await chat(one, ASK)
    await redis.stop()
    try:
        await chat(two, [*ASK, reply, RESULT])
    finally:
        await redis.start()
    assert returned(model) == [{}]


async def test_a_background_stream_with_reasoning_is_resumed_with_the_other_after_any_event(both, provider, shape):
    one, two = both
    thinks = streams(chunk(shape), SEEN, chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"), DONE)
    model = provider.model(thinks)
    client = one.with_options(default_headers=model.chosen)
    more = {"include": ["reasoning.encrypted_content"]}
    seen = []
    async for event in await client.responses.create(
        model="openclaw", input="hi", background=True, stream=True, **more
    ):
        seen.append(event)
        if event.type == "response.reasoning_text.delta":
            middle = await two.responses.retrieve(seen[0].response.id, stream=True, starting_after=1)
            model.seen.set()
    async with asyncio.timeout(10):
        assert [event async for event in middle] == seen[2:]
    final = seen[-1].response
    assert [item.type for item in final.output] == ["reasoning", "message"]
    for number in range(len(seen)):
        for client in (one, two):
            again = await client.responses.retrieve(final.id, stream=True, starting_after=number)
            assert [event async for event in again] == seen[number + 1 :]
    for client in (one, two):
        assert await client.responses.retrieve(final.id) == final
