"""Conversations while instances die: three gateways behind nginx over one Redis, and one gateway with SQLite."""

import asyncio
import itertools
import json
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.conftest import TOKEN
from tests.e2e.front import in_front_of
from tests.e2e.process import environment, start_gateway
from tests.process import free_port
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def echoes(request, model):
    """Answer with the last message, so that every answer belongs to one question."""
    messages = model.asked[-1].body["messages"]
    answer = {"role": "assistant", "content": f"re:{messages[-1]['content']}"}
    return web.json_response({"choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]})


@pytest.fixture(scope="module")
def model(provider):
    return provider.model(echoes, "unscripted")


class Writers:
    """Clients of one conversation: the answers that they got, and the requests that failed."""

    def __init__(self, key):
        self.key = key
        self.acknowledged = []
        self.tried = set()

    async def write(self, session, url, name, turns):
        """Send `turns` turns until they are acknowledged; a failed one is sent again with another text."""
        numbers = itertools.count()
        done = 0
        while done < turns:
            text = f"{name}-{next(numbers)}"
            body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
            self.tried.add(text)
            try:
                headers = {"x-openclaw-session-key": self.key}
                async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
                    answer = await response.json(content_type=None) if response.status == 200 else None
            except (aiohttp.ClientError, ConnectionError, json.JSONDecodeError):
                answer = None
            if answer is None:
                await asyncio.sleep(0.05)
                continue
            assert answer["choices"][0]["message"]["content"] == f"re:{text}"
            self.acknowledged.append(text)
            done += 1


def check(writers, transcript, model):
    """Every acknowledged turn is stored once, all others at most once, and each model request had all earlier turns."""
    completed = [entry["messages"] for entry in transcript if entry["outcome"] == "completed"]
    exchanges = [tuple(message["parts"][0]["text"] for message in messages) for messages in completed]
    questions = [question for question, _ in exchanges]
    assert all(answer == f"re:{question}" for question, answer in exchanges)
    assert len(set(questions)) == len(questions), "no turn is there twice"
    assert set(writers.acknowledged) <= set(questions), "no turn that was acknowledged is lost"
    assert set(questions) <= writers.tried
    history = []
    seen = {}
    for asked in model.asked:
        texts = [message["content"] for message in asked.body["messages"]]
        seen.setdefault(texts[-1], []).append(texts)
    for question, answer in exchanges:
        assert [*history, question] in seen[question], "the answer was given in sight of the whole conversation"
        history += [question, answer]


async def transcript(session, url, key):
    async with session.get(f"{url}/api/v1/sessions/agent:main:{key}") as response:
        assert response.status == 200, await response.text()
        return (await response.json())["transcript"]


@asynccontextmanager
async def one_of_three(directory, config, port):
    """A gateway that a test may kill and restart. The test must stop the process."""
    file = directory / "gateway.json5"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = ["serve", "--port", str(port), "--config", str(file)]

    async def begin():
        process = await start_gateway(*command, environment=environment(directory))
        await process.wait_for_output("Listening")
        return process

    current = [await begin()]

    async def killed_and_started():
        current[0].signal(signal.SIGKILL)
        await current[0].ended()
        current[0] = await begin()

    try:
        yield killed_and_started
    finally:
        await current[0].stop()


@asynccontextmanager
async def client():
    timeout = aiohttp.ClientTimeout(total=90)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=BEARER, timeout=timeout) as ready:
        yield ready


@pytest.mark.timeout(240)
async def test_fifty_writers_of_one_conversation_lose_and_repeat_nothing_while_instances_die(config, model, tmp_path):
    model.asked.clear()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path))
        gateway = config["gateway"] | {
            "trustedProxies": ["127.0.0.1"],
            "redis": {"url": redis.url},
            "drain": {"noticeMs": 0},
        }
        config = config | {"gateway": gateway, "session": {"waitMs": 60_000}}
        ports = [free_port() for _ in range(3)]
        again = []
        for port in ports:
            (tmp_path / str(port)).mkdir()
            one = one_of_three(tmp_path / str(port), config, port)
            again.append(await stack.enter_async_context(one))
        url = await stack.enter_async_context(in_front_of(ports, tmp_path / "nginx"))
        session = await stack.enter_async_context(client())
        writers = Writers("many")
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(writers.write(session, url, f"w{number}", 3))
            for kill, enough in zip(again, (30, 70, 110), strict=True):
                while len(writers.acknowledged) < enough:
                    await asyncio.sleep(0.01)
                await kill()
        assert len(writers.acknowledged) == 150
        check(writers, await transcript(session, url, "many"), model)


@pytest.mark.timeout(240)
async def test_a_gateway_with_sqlite_keeps_acknowledged_turns_whenever_it_is_killed(config, model, tmp_path):
    model.asked.clear()
    port = free_port()
    config = config | {"gateway": config["gateway"] | {"drain": {"noticeMs": 0}}}
    async with one_of_three(tmp_path, config, port) as kill, client() as session:
        url = f"http://127.0.0.1:{port}"
        writers = Writers("one")
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(writers.write(session, url, f"w{number}", 4))
            for enough in (20, 60, 100, 140):
                while len(writers.acknowledged) < enough:
                    await asyncio.sleep(0.005)
                await kill()
        assert len(writers.acknowledged) == 200
        check(writers, await transcript(session, url, "one"), model)
