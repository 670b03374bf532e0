"""Each run ends in exactly one RunFinished, whichever way it ends."""

import asyncio
import base64
import json
from dataclasses import replace

import aiohttp
import aiohttp.web
import pytest

from gateway.app import create_app
from gateway.config.load import load
from gateway.http.keys import CURRENT, DRAIN, SERVICES
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain
from gateway.runs.observers import log_run
from tests.unit.http.conftest import TOKEN
from tests.unit.http.thinking import CALL, CHAT_TOOL, THOUGHT, answers, message

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
ASK = [{"role": "user", "content": "hi"}]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and more").decode()
ANYHOW = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
ANYWHERE = pytest.mark.parametrize("path", [CHAT, RESPONSES], ids=["chat", "responses"])


def body(path, **more):
    given = {"messages": ASK} if path == CHAT else {"input": "hi"}
    return {"model": "openclaw", **given, **more}


def observe(app):
    """What every run of the application ends in, from now on."""
    ends = []
    current = app[CURRENT]
    runs = current.snapshot.runs
    assert runs.observers[0] is log_run
    current.snapshot = replace(current.snapshot, runs=replace(runs, observers=(*runs.observers, ends.append)))
    return ends


@pytest.fixture
def ends(client):
    return observe(client.app)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


@ANYWHERE
@ANYHOW
async def test_a_complete_answer_ends_its_run_once(client, provider, ends, path, stream):
    answers(provider, message("Hello", reasoning_content=THOUGHT))
    response = await client.post(path, json=body(path, stream=stream), headers={"x-request-id": "mine"})
    await response.read()
    (end,) = ends
    assert (end.outcome, end.failed, end.client) == ("answered", False, "owner")
    assert (end.usage.total, end.usage.reasoning) == (18, 5)
    run = await (await client.get("/api/v1/runs/mine")).json()
    assert (run["outcome"], len(run["attempts"])) == ("answered", 1)


@ANYWHERE
async def test_a_provider_that_reports_no_usage_leaves_it_unknown(client, provider, ends, path):
    async def answer(_request):
        choice = {"index": 0, "message": message("Hello"), "finish_reason": "stop"}
        return aiohttp.web.json_response({"object": "chat.completion", "choices": [choice]})

    provider.answer = answer
    await (await client.post(path, json=body(path))).read()
    (end,) = ends
    assert (end.outcome, end.usage) == ("answered", None)


async def test_a_run_in_the_background_ends_once(official, provider, ends):
    answers(provider, message("Hello"))
    queued = await official.responses.create(model="openclaw", input="hi", background=True)
    await until(lambda: ends)
    events = [event async for event in await official.responses.retrieve(queued.id, stream=True)]
    assert events[-1].type == "response.completed"
    assert [(end.outcome, end.failed) for end in ends] == [("answered", False)]


async def test_a_run_in_the_background_that_is_cancelled_ends_once(official, provider, ends):
    asked, _ = provider.hangs()
    queued = await official.responses.create(model="openclaw", input="hi", background=True)
    await asked.wait()
    assert not ends
    await official.responses.cancel(queued.id)
    await official.responses.cancel(queued.id)
    assert [(end.outcome, end.failed) for end in ends] == [("cancelled", False)]


@ANYWHERE
@ANYHOW
async def test_a_failure_of_the_provider_ends_its_run_once(client, provider, ends, path, stream):
    provider.refuses(500, "no")
    response = await client.post(path, json=body(path, stream=stream))
    await response.read()
    assert response.status == 502
    assert [(end.outcome, end.failed, end.usage) for end in ends] == [("server_error", True, None)]


@ANYWHERE
async def test_an_answer_that_breaks_off_ends_its_run_once(client, provider, ends, path):
    async def answer(request):
        response = await provider.begins(request, {"content": "Hel"})
        await asyncio.sleep(0)
        request.transport.abort()
        return response

    provider.answer = answer
    await (await client.post(path, json=body(path, stream=True))).read()
    assert [(end.outcome, end.failed) for end in ends] == [("transport", True)]


@ANYWHERE
@ANYHOW
async def test_a_client_that_leaves_ends_its_run_once(client, provider, ends, path, stream):
    asked, left = provider.hangs()
    request = asyncio.create_task(client.post(path, json=body(path, stream=stream)))
    await asked.wait()
    assert not ends
    request.cancel()
    async with asyncio.timeout(30):
        await left.wait()
    await until(lambda: ends)
    assert [(end.outcome, end.failed) for end in ends] == [("cancelled", False)]


@ANYWHERE
async def test_a_client_that_leaves_a_stream_that_has_begun_ends_its_run_once(client, provider, ends, path):
    left = asyncio.Event()

    async def answer(request):
        try:
            await provider.begins(request, {"content": "Hel"})
            await asyncio.Event().wait()
        finally:
            left.set()

    provider.answer = answer
    response = await client.post(path, json=body(path, stream=True))
    await response.content.readany()
    response.close()
    async with asyncio.timeout(30):
        await left.wait()
    await until(lambda: ends)
    assert [(end.outcome, end.failed) for end in ends] == [("cancelled", False)]


@ANYWHERE
async def test_a_run_that_no_model_can_take_ends_once(client, provider, config, ends, path):
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    if path == CHAT:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    given = {"messages" if path == CHAT else "input": [{"role": "user", "content": [picture]}]}
    headers = {"x-openclaw-model": "fake/blind", "x-request-id": "mine"}
    response = await client.post(path, json={"model": "openclaw", **given}, headers=headers)
    assert response.status == 400
    assert [(end.outcome, end.failed) for end in ends] == [("invalid_request_error", True)]
    run = await (await client.get("/api/v1/runs/mine")).json()
    assert (run["outcome"], run["attempts"]) == ("invalid_request_error", [])


async def test_a_demanded_call_that_does_not_come_ends_its_run_once(client, provider, ends):
    answers(provider, message("No."))
    more = {"tools": [CHAT_TOOL], "tool_choice": "required"}
    response = await client.post(CHAT, json=body(CHAT, **more))
    assert response.status == 502
    assert [(end.outcome, end.failed, end.usage.total) for end in ends] == [("api_error", True, 18)]


async def test_a_fault_of_the_gateway_ends_its_run_once_as_failed(client, provider, ends, monkeypatch):
    async def put(_entries):
        raise RuntimeError("a bug")

    monkeypatch.setattr(client.app[SERVICES].stores.reasoning, "put", put)
    answers(provider, message(None, CALL, reasoning_content=THOUGHT))
    response = await client.post(CHAT, json=body(CHAT, tools=[CHAT_TOOL]))
    assert response.status == 500
    assert [(end.outcome, end.failed) for end in ends] == [("error", True)]


class TestFailover:
    @pytest.fixture
    def config(self, config):
        config["agents"]["defaults"]["model"]["fallbacks"] = ["fake/blind"]
        return config

    async def test_a_failure_that_another_model_makes_good_is_no_ending(self, client, provider, ends):
        async def answer(request):
            if len(provider.asked) == 1:
                return aiohttp.web.json_response({"error": {"message": "no"}}, status=500)
            return await second(request)

        answers(provider, message("not asked"), message("Hello"))
        second = provider.answer
        provider.answer = answer
        response = await client.post(CHAT, json=body(CHAT))
        assert response.status == 200
        assert [(end.outcome, len(end.trace.attempts)) for end in ends] == [("answered", 2)]


class TestToolsOfTheAgent:
    @pytest.fixture
    def config(self, config, tool_server):
        config["mcp"] = {"servers": {"local": {"url": tool_server.url}}}
        return config

    CALL = ("call_1", "local__weather", '{"city": "Oslo"}')

    @ANYHOW
    async def test_all_rounds_are_one_run_with_the_tokens_of_all(self, client, provider, ends, stream):
        answers(provider, message(None, self.CALL), message(None, self.CALL), message("Cold."))
        await (await client.post(CHAT, json=body(CHAT, stream=stream))).read()
        (end,) = ends
        assert (end.outcome, end.usage.total, end.usage.reasoning) == ("answered", 54, 15)
        assert [use.tool for use in end.trace.tools] == ["local__weather"] * 2

    @ANYHOW
    async def test_a_round_that_fails_ends_the_run_once(self, client, provider, ends, stream):
        async def answer(request):
            if len(provider.asked) == 2:
                return aiohttp.web.json_response({"error": {"message": "no"}}, status=500)
            return await first(request)

        answers(provider, message(None, self.CALL))
        first = provider.answer
        provider.answer = answer
        await (await client.post(CHAT, json=body(CHAT, stream=stream))).read()
        (end,) = ends
        assert (end.outcome, end.failed, end.usage.total) == ("server_error", True, 18)

    async def test_a_client_that_leaves_while_a_tool_runs_ends_the_run_once(self, client, provider, ends, tool_server):
        answers(provider, message(None, ("call_1", "local__hang", "{}")))
        request = asyncio.create_task(client.post(CHAT, json=body(CHAT)))
        await until((tool_server.notes / "hanging").exists)
        request.cancel()
        await until(lambda: ends)
        assert [(end.outcome, end.usage.total) for end in ends] == [("cancelled", 18)]
        assert [use.outcome for use in ends[0].trace.tools] == ["cancelled"]


class TestStop:
    """The gateway stops while runs are at work."""

    @pytest.fixture
    async def gateway(self, config, tmp_path):
        file = tmp_path / "openclaw.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        loaded = load(file, {})
        app = create_app(loaded.config, loaded.env, tmp_path)
        runner = Runner(app)
        await runner.setup()
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await runner.listen(listening)

        async def stop():
            await drain(runner, app[DRAIN], DrainPolicy(notice=0, limit=0), asyncio.Event(), notice=False)
            await runner.cleanup()

        async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            yield app, session, stop
        await runner.cleanup()

    @ANYWHERE
    @ANYHOW
    async def test_each_ends_once(self, gateway, provider, path, stream):
        app, session, stop = gateway
        ends = observe(app)
        asked, _ = provider.hangs()
        request = asyncio.create_task(session.post(path, json=body(path, stream=stream)))
        await asked.wait()
        await stop()
        response = await request
        assert response.status == 503
        assert [(end.outcome, end.usage) for end in ends] == [("cancelled", None)]

    async def test_one_in_the_background_ends_once(self, gateway, provider):
        app, session, stop = gateway
        ends = observe(app)
        asked, _ = provider.hangs()
        await (await session.post(RESPONSES, json=body(RESPONSES, background=True))).read()
        await asked.wait()
        await stop()
        assert [(end.outcome, end.usage) for end in ends] == [("cancelled", None)]
