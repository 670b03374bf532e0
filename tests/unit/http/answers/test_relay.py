"""When a client learns which model answered: in the headers, or after them if silence is_open the stream first."""

import asyncio

import aiohttp.web
import pytest

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
FRAMES = {CHAT: b'data: {"id":', RESPONSES: b"event: response.created"}
LAST = {CHAT: b"data: [DONE]\n\n", RESPONSES: b"event: response.completed"}
HELLO = b": waiting for the model\n\n"


@pytest.fixture(params=[CHAT, RESPONSES], ids=["chat", "responses"])
def path(request):
    return request.param


@pytest.fixture
def config(config):
    config["gateway"]["stream"]["openingHeartbeatMs"] = 30
    config["agents"]["defaults"]["model"]["fallbacks"] = ["fake/blind"]
    return config


@pytest.fixture
def ask(client, path):
    async def send():
        given = {"messages": [{"role": "user", "content": "hi"}]} if path == CHAT else {"input": "hi"}
        return await client.post(path, json={"model": "openclaw", "stream": True, **given})

    return send


@pytest.fixture
def hold(provider):
    """Withhold the provider's answer until the returned event is set."""

    def build():
        release, answer = asyncio.Event(), provider.answer

        async def late(request):
            await release.wait()
            return await answer(request)

        provider.answer = late
        return release

    return build


async def test_a_stream_that_is_opened_by_the_answer_has_it_in_its_headers(ask, provider):
    provider.says("Hello")
    response = await ask()
    assert (response.headers["x-openclaw-model"], response.headers["x-openclaw-attempts"]) == ("fake/small", "1")
    assert b": " not in (await response.read()).replace(b"event: ", b"").replace(b"data: ", b"")


async def test_a_stream_that_silence_opened_has_it_in_a_comment_before_its_end(ask, provider, hold, path):
    provider.says("Hel|lo")
    release = hold()
    response = await ask()  # returns with the headers
    assert response.status == 200
    assert not {"x-openclaw-model", "x-openclaw-attempts"} & {name.lower() for name in response.headers}
    assert "Server-Timing" in response.headers
    assert await response.content.readuntil(b"\n\n") == HELLO
    release.set()
    body = await response.read()
    assert body.startswith(FRAMES[path])
    comment = b"\n\n: x-openclaw-model: fake/small\n: x-openclaw-attempts: 1\n\n"
    assert body.count(b": x-openclaw-") == 2
    assert body.count(comment) == 1
    assert body.index(b"lo") < body.index(comment)
    assert body.index(comment) < body.index(LAST[path])


async def test_the_comment_names_the_model_that_answered_in_the_end(ask, provider):
    release = asyncio.Event()

    async def fails(_request):
        await release.wait()
        provider.says("Hello")
        return aiohttp.web.json_response({"error": {"message": "no"}}, status=500)

    provider.answer = fails
    response = await ask()
    assert "x-openclaw-model" not in response.headers
    release.set()
    body = await response.read()
    assert b"\n\n: x-openclaw-model: fake/blind\n: x-openclaw-attempts: 2\n\n" in body
    assert b"Hello" in body


async def test_a_failure_after_silence_is_reported_in_the_stream_with_the_comment(ask, provider, hold):
    provider.refuses(400, "too strange")
    release = hold()
    response = await ask()
    assert response.status == 200
    release.set()
    body = await response.read()
    assert body.count(b": x-openclaw-model: fake/small\n: x-openclaw-attempts: 1\n\n") == 1
    assert b"too strange" in body


async def test_the_official_client_does_not_mind_the_comments(official, provider, hold):
    provider.says("Hel|lo")
    release = hold()
    async with official.chat.completions.with_streaming_response.create(
        model="openclaw", messages=[{"role": "user", "content": "hi"}], stream=True
    ) as is_open:
        assert "x-openclaw-model" not in is_open.headers
        release.set()
        stream = await is_open.parse()
        deltas = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(deltas) == "Hello"
