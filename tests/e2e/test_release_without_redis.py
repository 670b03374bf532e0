"""A release at every instance that can be reached, while their Redis is away."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKER = "203.0.113.9"
RIGHT, WRONG = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer wrong"}


async def command(*words):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCLAW_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "locks", *words,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_release_while_redis_is_away_holds_at_once_where_it_was_asked_and_later_elsewhere(config, tmp_path):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server(tmp_path, appendonly="yes", appendfsync="always"))
        gateway = config["gateway"] | {
            "auth": {"mode": "token", "token": TOKEN, "rateLimit": {"maxAttempts": 3}},
            "trustedProxies": ["127.0.0.1"],
            "redis": {"url": server.url},
        }
        config = config | {"gateway": gateway}
        gateways = []
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
            gateways.append(await stack.enter_async_context(serving(tmp_path / name, config)))
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def status(gateway, headers=RIGHT, address=ATTACKER):
            async with session.get(
                f"{gateway.url}/v1/models", headers=headers | {"X-Forwarded-For": address}
            ) as answer:
                return answer.status

        async def redis_is_away(gateway):
            async with session.get(f"{gateway.url}/readyz") as answer:
                return "redis" in (await answer.json())["degraded"]

        async def until(condition, *wanted):
            async with asyncio.timeout(20):
                while tuple([await condition(gateway) for gateway in gateways]) != wanted:
                    await asyncio.sleep(0.02)

        assert [await status(gateways[0], WRONG) for _ in range(4)] == [401, 401, 401, 429]
        await until(status, 429, 429, 429)
        await server.stop()
        await until(redis_is_away, True, True, True)
        (tmp_path / "cli.json").write_text(json.dumps(config), encoding="utf-8")
        options = ["--config", str(tmp_path / "cli.json"), "--url", gateways[0].url, "--url", gateways[1].url]
        code, output, errors = await command("list", *options)
        assert (code, output.split("\t")[0], errors) == (0, ATTACKER, "")
        code, output, errors = await command("release", ATTACKER, *options)
        assert (code, output) == (0, f"released {ATTACKER}\n")
        assert "those on other machines when Redis is back" in errors
        assert [await status(each) for each in gateways] == [200, 200, 429]
        await server.start()
        await until(status, 200, 200, 200)
        # With Redis the first instance's release reaches the others before they are asked.
        assert [await status(gateways[2], WRONG) for _ in range(4)] == [401, 401, 401, 429]
        await until(status, 429, 429, 429)
        assert await command("release", ATTACKER, *options) == (0, f"released {ATTACKER}\n", "")
        code, output, errors = await command("release", ATTACKER, *options)
        assert (code, output) == (1, "")
        assert errors.count("Nothing is held against this key") == 2
        code, _, errors = await command("release", ATTACKER, *options, "--url", "http://127.0.0.1:1")
        assert code == 1
        assert "no gateway answers" in errors
