"""The steps from a request to its run, through both endpoints: their order, and the configuration that they see."""

import asyncio
import json

import aiohttp.web
import pytest

from gateway.app import create_app
from gateway.config.load import load
from gateway.http.keys import CURRENT, SERVICES
from tests.unit.http.conftest import TOKEN
from tests.unit.http.thinking import CALL, CHAT_TOOL, RESPONSES_TOOL, SHAPES, answers, message, returned

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
ASK = [{"role": "user", "content": "What is the weather like at the North Pole in the morning, if there is one?"}]
KEY = {"x-openclaw-session-key": "app:thread"}


@pytest.fixture(params=[CHAT, RESPONSES], ids=["chat", "responses"])
def path(request):
    return request.param


def given(path, messages=ASK, **more):
    return {"model": "openclaw", "messages" if path == CHAT else "input": messages, **more}


class TestOrder:
    """A request that is wrong in every step is refused by the first of them; mended there, by the next."""

    @pytest.fixture
    def config(self, config):
        config["gateway"]["limits"] = [{"name": "few", "tokensPerMinute": 1}]
        config["agents"]["entries"]["main"]["models"] = {}
        return config

    async def test_each_step_refuses_what_the_ones_before_it_let_pass(self, client, provider, path):
        wrong_body = given(path, [], model="openclaw/nobody")
        wrong_headers = {"x-openclaw-session-key": "subagent:x", "x-openclaw-model": "nowhere/x"}
        tools = [CHAT_TOOL if path == CHAT else RESPONSES_TOOL]

        async def refusal(body, headers):
            response = await client.post(path, json=body, headers=headers)
            return response.status, (await response.json())["error"]["message"]

        status, text = await refusal(wrong_body, wrong_headers)
        assert (status, "session" in text.lower()) == (400, True), text
        wrong_headers["x-openclaw-session-key"] = "app:thread"
        status, text = await refusal(wrong_body, wrong_headers)
        assert (status, "nobody" in text) == (400, True), "the agent"
        wrong_body["model"] = "openclaw"
        status, text = await refusal(wrong_body, wrong_headers)
        assert (status, "Missing user message" in text) == (400, True), "the input"
        wrong_body = given(path, tools=tools)
        status, text = await refusal(wrong_body, wrong_headers)
        assert (status, "nowhere" in text) == (404, True), "the run"
        del wrong_headers["x-openclaw-model"]
        status, text = await refusal(wrong_body, wrong_headers)
        assert (status, "'few-tokens'" in text) == (400, True), text
        assert not provider.asked

    async def test_a_run_that_is_not_admitted_is_none_that_goes_on(self, client, path):
        response = await client.post(path, json=given(path), headers={"x-request-id": "mine"})
        assert response.status == 400
        assert (await client.get("/api/v1/runs/mine")).status == 404

    async def test_a_refused_request_leaves_its_conversation_at_once(self, client, path):
        for headers in ({"x-openclaw-model": "nowhere/x"}, {}):
            for _ in range(3):
                async with asyncio.timeout(30):
                    response = await client.post(path, json=given(path), headers=KEY | headers)
                assert response.status in (400, 404)
        steps_seen = await (await client.get("/api/v1/sessions")).json()
        assert steps_seen["data"] == []


async def test_the_reasoning_that_a_client_dropped_is_there_before_its_conversation_stores_the_turn(client, provider):
    """So that a later turn of the conversation has it, too."""
    shape = SHAPES["reasoning_details"]
    answers(provider, message(None, CALL, **shape), message("Open."), message("Yes."))
    first = await client.post(CHAT, json=given(CHAT, tools=[CHAT_TOOL]))
    reply = (await first.json())["choices"][0]["message"]
    reply.pop("reasoning_content")
    result = {"role": "tool", "tool_call_id": CALL[0], "content": "open"}
    await client.post(CHAT, json=given(CHAT, [*ASK, reply, result], tools=[CHAT_TOOL]), headers=KEY)
    client.app[SERVICES].stores.reasoning._entries.clear()
    await client.post(CHAT, json=given(CHAT, [{"role": "user", "content": "sure?"}]), headers=KEY)
    assert returned(provider)[0] == shape


class TestSnapshot:
    """A request keeps the configuration that it began with; the next request has the new one."""

    @pytest.fixture
    def config(self, config):
        config["agents"]["defaults"]["model"]["fallbacks"] = ["fake/blind"]
        return config

    @pytest.fixture
    async def swap(self, client, aiohttp_client, config, tmp_path):
        """Put another configuration in force, in which the agent has other models."""
        other = json.loads(json.dumps(config))
        other["agents"]["defaults"]["model"] = {"primary": "fake/new"}
        other["models"]["providers"]["fake"]["models"] = [{"id": "new"}]
        file = tmp_path / "other" / "openclaw.json"
        file.parent.mkdir()
        file.write_text(json.dumps(other), encoding="utf-8")
        loaded = load(file, {})
        second = await aiohttp_client(create_app(loaded.config, loaded.env, file.parent))
        snapshot = second.app[CURRENT].snapshot

        def swap():
            client.app[CURRENT].snapshot = snapshot

        return swap

    async def test_a_request_whose_body_is_still_on_its_way(self, client, provider, swap, path):
        provider.says("Hello")
        body = json.dumps(given(path)).encode()
        url = client.make_url(path)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert b"100" in await reader.readuntil(b"\r\n\r\n"), "the handler has begun"
        swap()
        writer.write(body)
        assert b" 200 " in await reader.readline()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        await client.post(path, json=given(path))
        assert [asked["model"] for asked in provider.asked] == ["small", "new"]

    async def test_a_run_that_fails_over(self, client, provider, swap, path):
        async def answer(request):
            if len(provider.asked) == 1:
                swap()
                return aiohttp.web.json_response({"error": {"message": "no"}}, status=500)
            return await hello(request)

        provider.says("Hello")
        hello, provider.answer = provider.answer, answer
        assert (await client.post(path, json=given(path))).status == 200
        assert (await client.post(path, json=given(path))).status == 200
        assert [asked["model"] for asked in provider.asked] == ["small", "blind", "new"]

    async def test_a_turn_that_waits_for_its_place_in_a_conversation(self, client, provider, swap, path):
        release, asked = asyncio.Event(), asyncio.Event()

        async def answer(request):
            asked.set()
            await release.wait()
            return await hello(request)

        provider.says("Hello")
        hello, provider.answer = provider.answer, answer
        first = asyncio.create_task(client.post(path, json=given(path), headers=KEY))
        await asked.wait()
        second = asyncio.create_task(client.post(path, json=given(path), headers=KEY))
        turns = client.app[SERVICES].stores.sessions._queue._waiting
        async with asyncio.timeout(30):
            while not any(turns.values()):
                await asyncio.sleep(0.002)
        swap()
        release.set()
        assert [(await request).status for request in (first, second)] == [200, 200]
        await client.post(path, json=given(path), headers=KEY)
        assert [asked["model"] for asked in provider.asked] == ["small", "small", "new"]
