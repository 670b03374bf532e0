"""Every provider's format with every client's format, through the whole application: nothing is lost on either way."""

import json

import pytest

from tests.unit.wire import toy
from tests.unit.wire.clients import CLIENTS, Question, error_of, visible
from tests.unit.wire.every_format import (
    ANSWERS,
    ASK,
    CONVERSATION,
    TEXT,
    TOOLS,
    each_client,
    each_way,
    read,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@each_client
@each_way
async def test_a_client_sees_what_the_provider_sent(house, ask, client, stream):
    for name, answer in ANSWERS.items():
        house.answers(answer)
        status, body = await ask(client, client.body(ASK, stream=stream))
        seen = client.sees(visible(house.says.received(answer, stream=stream)), stream=stream)
        assert (status, read(client, status, body, stream=stream)) == (200, seen), name


@each_client
@each_way
async def test_an_error_before_the_first_event_keeps_its_status(house, ask, client, stream):
    house.refuses("Too many people.")
    status, body = await ask(client, client.body(ASK, stream=stream))
    assert status == client.error(503, "")[0]
    assert "Too many people." in error_of(body).error


@each_client
@each_way
async def test_an_error_in_place_of_an_answer_is_an_error(house, ask, client, stream):
    house.sends([house.says.failure("Too many people.", stream=stream)], stream=stream)
    status, body = await ask(client, client.body(ASK, stream=stream))
    assert status == client.error(503, "")[0]
    assert "Too many people." in error_of(body).error


@each_client
@pytest.mark.parametrize("text", ["Too many people.", None], ids=["reported", "cut"])
async def test_an_error_after_the_first_event_ends_the_stream_as_one(house, ask, client, text):
    *_, last, _, _ = frames = house.says.frames(ANSWERS["text"])
    started = frames[: frames.index(last)]
    house.sends(started if text is None else [*started, house.says.failure(text, stream=True)], stream=True)
    status, body = await ask(client, client.body(ASK, stream=True))
    seen = read(client, status, body, stream=True)
    assert status == 200
    assert (text or "broke off") in seen.error
    assert seen.finish is None
    assert seen.text
    assert TEXT.startswith(seen.text)


@each_client
@each_way
async def test_a_provider_gets_what_the_client_sent(house, ask, client, stream):
    house.answers(ANSWERS["text"])
    lacks = house.says.LACKS | client.lacks
    conversation = [[role, *(part for part in parts if part[0] not in lacks)] for role, *parts in CONVERSATION]
    question = Question(conversation, TOOLS, settings=True)
    status, _ = await ask(client, client.body(question, stream=stream))
    assert status == 200
    assert house.asked == [
        {
            "model": "small",
            "stream": stream,
            "settings": client.settings(house.says.SETTINGS),
            "tools": TOOLS,
            "choice": None,
            "messages": [
                [role, *([*part[:3], client.arguments(part[3])] if part[0] == "call" else part for part in parts)]
                for role, *parts in conversation
            ],
        }
    ]
    assert house.says.authorised(house.headers[0], "key-of-the-house")


@each_client
async def test_a_provider_is_asked_for_the_one_tool_that_the_client_wants(house, ask, client):
    house.answers(ANSWERS["one call"])
    status, _ = await ask(client, client.body(Question(CONVERSATION[-1:], TOOLS, pinned="look"), stream=False))
    assert status == 200
    assert house.asked[0]["choice"] == ["pinned", "look"]


@pytest.mark.parametrize("named", ["api", "model", "row"])
async def test_a_configured_provider_speaks_the_format_that_it_names_or_that_of_its_row(
    open_house, config, served, named
):
    house = await open_house("toyhouse", toy.WIRE)
    row = {"baseUrl": house.url, "apiKey": "k", "models": [{"id": "small"}]}
    name = "toyhouse" if named == "row" else "own"
    if named == "api":
        row["api"] = toy.WIRE
    elif named == "model":
        row["models"][0]["api"] = toy.WIRE
    config["models"] = {"providers": {name: row}}
    config["agents"]["defaults"]["model"]["primary"] = f"{name}/small"
    house.answers(ANSWERS["text"])
    gateway = await served(config)
    async with gateway.post(CLIENTS[0].path, json=CLIENTS[0].body(ASK, stream=False)) as response:
        assert CLIENTS[0].whole(await response.read()) == visible(ANSWERS["text"])
    assert house.headers[0]["X-Toy-Version"] == "1"
    assert house.headers[0].getall("Content-Type") == ["text/x-toy"]


async def test_a_format_without_embeddings_is_named_when_somebody_asks_for_them(open_house, config, served):
    await open_house("toyhouse", toy.WIRE)
    config["memory"] = {"search": {"provider": "toyhouse", "model": "small"}}
    config["agents"]["defaults"]["model"]["primary"] = "toyhouse/small"
    gateway = await served(config)
    async with gateway.post("/v1/embeddings", json={"model": "openclaw", "input": "hi"}) as response:
        assert response.status == 503
        assert "'toyhouse' has no embeddings" in error_of(await response.read()).error


async def test_a_provider_of_the_responses_format_embeds(open_house, config, served):
    house = await open_house("house", "openai-responses")
    config["memory"] = {"search": {"provider": "house", "model": "small"}}
    gateway = await served(config)
    vectors = {"data": [{"embedding": [0.5, 1], "index": 0}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    house.says = _Embeddings
    house.sends([json.dumps(vectors).encode()], stream=False)
    async with gateway.post("/v1/embeddings", json={"model": "openclaw", "input": "hi"}) as response:
        assert (await response.json())["data"][0]["embedding"] == [0.5, 1]
    assert house.asked == ["/base/embeddings"]


class _Embeddings:
    """Notes only the path of what it is asked."""

    WHOLE_TYPE = "application/json"

    @staticmethod
    def asked(path: str, _body: bytes) -> str:
        return path
