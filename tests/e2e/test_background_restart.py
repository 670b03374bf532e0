"""A background run of a single gateway, which is killed and restarted."""

import asyncio
import signal
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from gateway.state.configured import FILE
from tests.e2e.answers import chunk, hangs, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_after_a_restart_the_run_of_a_killed_gateway_is_failed(config, provider, tmp_path):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    model, whole = provider.model(streams(chunk({"content": "Hel"}), then=hangs)), provider.model(says("Whole."))
    body = {"model": "openclaw", "input": "hi"}
    async with serving(tmp_path, config) as gateway, aiohttp.ClientSession(gateway.url, headers=headers) as client:
        async with client.post("/v1/responses", json=body, headers=whole.chosen) as response:
            completed = await response.json()
        async with client.post("/v1/responses", json=body | {"background": True}, headers=model.chosen) as response:
            name = (await response.json())["id"]
        async with asyncio.timeout(10):
            await model.arrived.wait()
        gateway.process.signal(signal.SIGKILL)
        await gateway.process.ended()
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        (changed,) = database.execute("UPDATE background_runs SET until = until - 60 RETURNING name").fetchall()
        assert changed == (name,), "it was gone for a minute"
    async with serving(tmp_path, config) as gateway, aiohttp.ClientSession(gateway.url, headers=headers) as client:
        async with asyncio.timeout(10), client.get(f"/v1/responses/{name}?stream=true") as response:
            events = (await response.text()).split("\n\n")
        assert events[-3].startswith("event: response.failed\n")
        assert events[-2:] == ["data: [DONE]", ""]
        for known, status in ((name, "failed"), (completed["id"], "completed")):
            async with client.get(f"/v1/responses/{known}") as response:
                assert (await response.json())["status"] == status
