"""Two gateways whose Redis user has only the rights that docs/deployment.md lists use everything that Redis stores."""

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from tests.e2e.answers import SEEN, chunk, hangs, in_turn, refuses, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.redis_rights import create_user, denials, documented_rights
from tests.servers import redis_server

RIGHT, WRONG = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer wrong"}
SESSION = {"x-openclaw-session-key": "agent:main:main"}
ATTACKER = {"X-Forwarded-For": "203.0.113.9"}
CHAT = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
LOOK_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LIMITS = [{"name": "each", "per": ["model"], "requestsPerMinute": 100, "tokensPerMinute": 10**6, "concurrentRuns": 9}]


class Client:
    def __init__(self, session, url):
        self.session, self.url = session, url

    async def __call__(self, method, path, body=None, **headers):
        sent = RIGHT | headers
        async with self.session.request(method, self.url + path, json=body, headers=sent) as response:
            return response.status, await response.text()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_documented_rights_are_enough_for_everything(config, provider, tmp_path):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server(tmp_path))
        credential = await create_user(server)
        gateway = config["gateway"] | {
            "auth": {"mode": "token", "token": TOKEN, "rateLimit": {"maxAttempts": 3}},
            "trustedProxies": ["127.0.0.1"],
            "redis": {"url": f"redis://{credential}127.0.0.1:{server.port}/3"},
            "limits": LIMITS,
        }
        gateways = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            served = serving(tmp_path / name, config | {"gateway": gateway})
            gateways.append(await stack.enter_async_context(served))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        one, two = (Client(session, each.url) for each in gateways)
        await conversations(one, two, provider)
        await responses(one, two, provider)
        await reasoning(one, two, provider)
        await lockouts(one, two)
        failing = provider.model(refuses(429, headers={"Retry-After": "30"}))  # begins a cooldown, which is shared
        assert (await one("POST", "/v1/chat/completions", CHAT, **failing.chosen))[0] == 429
        assert '"ready"' in (await one("GET", "/readyz"))[1]
        assert await denials(server) == []
        keys = await server.ask("INFO", "keyspace")
        assert keys["db3"]["keys"] >= 10
        assert not any("Redis is not available" in each.process.output + each.process.errors for each in gateways)


async def conversations(one, two, provider):
    model = provider.model(in_turn(says("ONE"), says("TWO")))
    for ask in (one, two):
        assert (await ask("POST", "/v1/chat/completions", CHAT, **model.chosen, **SESSION))[0] == 200
    assert "agent:main:main" in (await one("GET", "/api/v1/sessions"))[1]
    for path in ("", "/export"):
        status, text = await two("GET", f"/api/v1/sessions/agent:main:main{path}")
        assert status == 200
    assert "ONE" in text
    assert "TWO" in text
    assert (await one("DELETE", "/api/v1/sessions/agent:main:main"))[0] == 200
    assert (await two("GET", "/api/v1/sessions/agent:main:main"))[0] == 404


async def responses(one, two, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), then=hangs))
    body = {"model": "openclaw", "input": "hi", "background": True}
    async with one.session.post(f"{one.url}/v1/responses", json=body, headers=RIGHT | model.chosen) as answer:
        name = (await answer.json())["id"]
    async with two.session.get(f"{two.url}/v1/responses/{name}?stream=true", headers=RIGHT) as stream:
        async for line in stream.content:
            if b"response.output_text.delta" in line:
                break
    assert (await two("POST", f"/v1/responses/{name}/cancel"))[0] == 200
    assert '"cancelled"' in (await one("GET", f"/v1/responses/{name}"))[1]
    assert (await two("DELETE", f"/v1/responses/{name}"))[0] == 200


async def reasoning(one, two, provider):
    thought = chunk({"reasoning_content": "First I look."})
    model = provider.model(
        in_turn(streams(thought, chunk({"tool_calls": [CALL]}), chunk({}, "tool_calls")), says("open"))
    )
    status, _ = await one("POST", "/v1/chat/completions", CHAT | {"tools": [LOOK_TOOL]}, **model.chosen)
    assert status == 200
    called = {"role": "assistant", "content": None, "tool_calls": [{k: v for k, v in CALL.items() if k != "index"}]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "open"}
    messages = [*CHAT["messages"], called, result]
    status, _ = await two(
        "POST", "/v1/chat/completions", CHAT | {"messages": messages, "tools": [LOOK_TOOL]}, **model.chosen
    )
    assert status == 200
    assert "First I look." in str(model.asked[1].body)


async def lockouts(one, two):
    statuses = [(await ask("GET", "/v1/models", **WRONG, **ATTACKER))[0] for ask in (one, two, one, two)]
    assert statuses == [401, 401, 401, 429]
    assert "203.0.113.9" in (await two("GET", "/api/v1/locks"))[1]
    assert (await two("DELETE", "/api/v1/locks?key=203.0.113.9"))[0] == 200
    async with asyncio.timeout(10):
        while (await one("GET", "/v1/models", **ATTACKER))[0] == 429:
            await asyncio.sleep(0.01)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_documented_line_takes_a_users_earlier_rights_away(tmp_path):
    async with redis_server(tmp_path) as server:
        await server.ask("ACL", "SETUSER", "gateway", "on", ">SECRET", "allkeys", "allchannels", "+@all")
        await create_user(server)
        async with Redis(port=server.port, username="gateway", password="SECRET") as user:
            assert await user.set("openclaw:key", "1")
            for command in ("GET other:key", "PUBLISH other message", "FLUSHALL", "CONFIG GET *"):
                with pytest.raises(NoPermissionError):
                    await user.execute_command(*command.split())


def test_the_documented_rights_are_those_of_the_scripts_and_no_more():
    root = Path(__file__).parents[2]
    sources = [*root.glob("gateway/**/*.lua"), *root.glob("ratelimit/openclaw_ratelimit/*.lua")]
    called = {name.lower() for file in sources for name in re.findall(r"redis\.call\('(\w+)'", file.read_text("utf-8"))}
    through_variables = {"hscan", "zscan"}  # failures.lua pages through its keys
    connections = {"client|setinfo", "cluster|slots", "command", "hello", "ping", "select", "subscribe"}
    clients = {"eval", "evalsha", "get", "hgetall", "hmget", "info", "mget", "scan", "set", "zrevrangebyscore"}
    allowed = {word[1:] for word in documented_rights() if word.startswith("+")}
    assert allowed == called | through_variables | connections | clients
