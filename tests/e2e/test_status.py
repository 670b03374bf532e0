"""Status and doctor of two workers that share a Redis: each shows itself and the other one."""

import asyncio
import json
import sys

import aiohttp
import pytest

from tests.e2e.conftest import TOKEN
from tests.e2e.process import environment, serving
from tests.e2e.test_workers import children
from tests.process import running
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def asked(url, path):
    async with aiohttp.ClientSession(url, headers=HEADERS) as session, session.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_workers_are_instances_and_each_answers_for_itself(config, tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    async with redis_server(folder) as redis:
        shared = config | {"gateway": {**config["gateway"], "redis": {"url": redis.url}}}
        async with serving(tmp_path, shared, "--workers", "2") as gateway:
            async with asyncio.timeout(60):
                while len((status := await asked(gateway.url, "/api/v1/status"))["instances"]) < 2:
                    await asyncio.sleep(0.1)
            assert {one["process"] for one in status["instances"]} == children(gateway.process.pid)
            assert [(one["self"], one["generation"]) for one in status["instances"]] == [(True, 1), (False, 1)]
            assert status["store"] == {"backend": "redis", "problem": None}
            assert status["redis"]["available"]
            report = await asked(
                gateway.url, "/api/v1/doctor?deep=true&only=redis.rights,redis.no-writes,redis.evicts,state,tls"
            )
            assert report["findings"] == []
            command = [sys.executable, "-m", "gateway", "status", "--config", str(tmp_path / "gateway.json5")]
            command += ["--url", gateway.url]
            for words, right in (
                ([], lambda text: "\ninstances  " in text and " (this one)\n" in text),
                (["--json"], lambda text: json.loads(text)["object"] == "status"),
            ):
                async with running([*command, *words], environment=environment(tmp_path)) as process:
                    assert await process.ended() == 0, process.errors
                    assert right(process.output), process.output
