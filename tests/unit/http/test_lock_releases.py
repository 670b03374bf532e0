"""Releases of locks between gateways of one machine, while their Redis is away."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import create_app
from gateway.cli.main import main
from gateway.config.load import load
from tests.process import free_port

TOKEN = "token-of-the-tests"
ATTACKER = "203.0.113.9"
OPERATOR = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "198.51.100.1"}


@pytest.fixture
def start(config, tmp_path):
    """Starts a gateway with this state directory, which other gateways may share."""
    config["gateway"]["auth"]["rateLimit"] = {"maxAttempts": 2}
    config["gateway"]["redis"] = {"url": f"redis://127.0.0.1:{free_port()}/3"}  # nothing listens there
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    file = tmp_path / "openclaw.json"

    @asynccontextmanager
    async def start(state):
        file.write_text(json.dumps(config), encoding="utf-8")
        loaded = load(file, {})
        async with TestClient(TestServer(create_app(loaded.config, loaded.env, tmp_path / state))) as client:
            yield client

    return start


async def guess(gateway, times):
    headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": ATTACKER}
    return [(await gateway.get("/v1/models", headers=headers)).status for _ in range(times)]


async def locked(gateway):
    answer = await (await gateway.get("/api/v1/locks", headers=OPERATOR)).json()
    return [lock["key"] for lock in answer["data"]]


async def release(gateway):
    response = await gateway.delete(f"/api/v1/locks?key={quote(ATTACKER)}", headers=OPERATOR)
    return response.status, await response.json()


async def unlocked(gateway):
    async with asyncio.timeout(30):
        while await locked(gateway):
            await asyncio.sleep(0.02)


async def test_a_release_reaches_gateways_that_share_the_state_directory_and_no_others(start):
    async with start("shared") as one, start("shared") as other, start("elsewhere") as foreign:
        for gateway in (one, other, foreign):
            assert await guess(gateway, 3) == [401, 401, 429]
        status, answer = await release(one)
        assert (status, answer["released"], answer["pending"]) == (200, True, True)
        assert await locked(one) == []
        await unlocked(other)
        assert await locked(foreign) == [ATTACKER]
        assert await guess(other, 3) == [401, 401, 429], "the release is for what stood then"
        async with start("shared") as new:  # as after a crash: it reads the release, and is asked by nobody
            assert await guess(new, 3) == [401, 401, 429]
            await asyncio.sleep(1)
            assert await locked(new) == [ATTACKER]
            assert await locked(other) == [ATTACKER]


async def test_an_instance_that_holds_nothing_passes_the_release_on(start):
    async with start("shared") as one, start("shared") as other:
        assert await guess(other, 3) == [401, 401, 429]
        status, answer = await release(one)
        assert (status, answer["released"], answer["pending"]) == (200, False, True)
        await unlocked(other)


async def test_a_state_directory_that_can_not_be_written_costs_only_the_others(start, tmp_path, capsys):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "released-locks").write_text("in the way", encoding="utf-8")
    async with start("shared") as one:
        await guess(one, 3)
        status, answer = await release(one)
        assert (status, answer["released"]) == (200, True)
        assert await locked(one) == []


async def test_the_command_says_which_gateways_follow(start, tmp_path, capsys):
    async with start("shared") as one:
        await guess(one, 3)
        words = ["locks", "release", ATTACKER, "--config", str(tmp_path / "openclaw.json"), "--url"]
        capsys.readouterr()
        assert await asyncio.to_thread(main, [*words, str(one.make_url("/"))]) == 0
        printed = capsys.readouterr()
        assert printed.out == f"released {ATTACKER}\n"
        assert "other gateways with this state directory follow within a second" in printed.err
