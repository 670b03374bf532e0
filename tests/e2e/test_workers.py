"""Several processes on one port: start, replacement and stop."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.answers import DONE, SEEN, chunk, hangs, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving, started
from tests.e2e.provider import Model
from tests.process import MAX_WAIT, alive, free_port
from tests.servers import redis_server
from tests.unit.http.metrics import Scraped

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], "stream": True}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


async def until(true, what: str) -> None:
    """Wait for a condition without an event."""
    try:
        async with asyncio.timeout(MAX_WAIT):
            while not true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"still not: {what}") from None


async def who_answers(url: str, times: int = 40) -> set[str]:
    """The processes that answer, with a new connection per request; their request ids have different prefixes."""
    workers_seen = set()
    for _ in range(times):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
            assert response.status == 200
            workers_seen.add(response.headers["x-request-id"][:20])
    return workers_seen


async def streamed(client: aiohttp.ClientSession, model: Model) -> aiohttp.ClientResponse:
    return await client.post("/v1/chat/completions", json=ASKED, headers=HEADERS | model.chosen)


@pytest.fixture
async def shared(config, tmp_path):
    """The configuration of a gateway that has a Redis."""
    folder = tmp_path / "redis"
    folder.mkdir()
    async with redis_server(folder) as server:
        yield config | {"gateway": config["gateway"] | {"redis": {"url": server.url}}}


@pytest.mark.parametrize("first", ["parent", "workers"])
async def test_both_workers_serve_share_one_state_and_finish_their_answers(shared, tmp_path, provider, first):
    """A service manager signals the workers too, in any order: this must not force an exit."""
    frames = [chunk({"content": "Hel"}), SEEN, chunk({}, "stop"), DONE]
    models = [provider.model(streams(*frames)) for _ in range(6)]
    async with serving(tmp_path, shared, "--workers", "2") as gateway, aiohttp.ClientSession(gateway.url) as client:
        assert len(await who_answers(gateway.url)) == 2
        (listening,) = [line for line in gateway.process.errors.splitlines() if '"Listening"' in line]
        assert '"workers":2' in listening
        workers = children(gateway.process.pid)
        responses = await asyncio.gather(*(streamed(client, model) for model in models))
        for response in responses:
            await response.content.readuntil(b"Hel")
        if first == "parent":
            gateway.process.signal_group(signal.SIGTERM)
            await until(lambda: gateway.process.errors.count('"Draining"') == 2, "both workers drain")
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        await until(lambda: gateway.process.errors.count('"Draining"') == 2, "both workers drain")
        if first == "workers":
            gateway.process.signal_group(signal.SIGTERM)
        for model in models:
            model.seen.set()
        for response in responses:
            text = await response.text()
            assert text.endswith("data: [DONE]\n\n")
            assert '"error"' not in text
        assert await gateway.process.ended() == 0
    assert not any(map(alive, workers))
    assert gateway.process.output == ""
    assert "Worker ended" not in gateway.process.errors


async def test_workers_that_end_are_replaced_and_none_outlives_the_parent(shared, tmp_path, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), SEEN, chunk({}, "stop"), DONE))
    async with serving(tmp_path, shared, "--workers", "2") as gateway, aiohttp.ClientSession(gateway.url) as client:
        parent = gateway.process.pid
        first, second = children(parent)
        os.kill(first, signal.SIGKILL)
        await gateway.process.wait_for_output("Worker ended")
        assert '"status":-9' in gateway.process.errors
        assert len(await who_answers(gateway.url, 10)) == 1
        response = await streamed(client, model)  # by the second
        await response.content.readuntil(b"Hel")
        os.kill(second, signal.SIGTERM)
        await gateway.process.wait_for_output('"Draining"')
        model.seen.set()
        assert (await response.text()).endswith("data: [DONE]\n\n")
        await until(lambda: len(children(parent) - {first, second}) == 2, "two new workers")
        async with asyncio.timeout(MAX_WAIT):
            workers_seen: set[str] = set()
            while len(workers_seen) < 2:
                with contextlib.suppress(aiohttp.ClientConnectorError):  # neither serves yet
                    workers_seen |= await who_answers(gateway.url, 5)
        workers = children(parent)
        gateway.process.signal(signal.SIGKILL)
        await until(lambda: not any(map(alive, workers)), "all workers are gone")


async def test_a_second_stop_signal_forces_all_workers_to_exit(shared, tmp_path, provider):
    model = provider.model(streams(chunk({"content": "Hel"}), then=hangs))
    async with serving(tmp_path, shared, "--workers", "2") as gateway, aiohttp.ClientSession(gateway.url) as client:
        response = await streamed(client, model)
        await response.content.readuntil(b"Hel")
        gateway.process.signal(signal.SIGTERM)
        await until(lambda: gateway.process.errors.count('"Draining"') == 2, "both workers drain")
        gateway.process.signal(signal.SIGTERM)
        text = await response.text()
        assert '"type":"unavailable"' in text
        assert text.endswith("data: [DONE]\n\n")
        assert await gateway.process.ended() == 0


async def test_several_workers_without_redis_are_refused(config, tmp_path):
    file = tmp_path / "gateway.json5"
    file.write_text('{gateway:{auth:{token:"0123456789"}},agents:{defaults:{model:"ollama/m"}}}', encoding="utf-8")
    async with started("serve", "--config", str(file), "--workers", "2", state=tmp_path) as process:
        assert await process.ended() == 78
    (line,) = process.errors.splitlines()
    assert line.startswith("gateway.redis.url: is missing, while --workers is 2")
    assert "OPENCLAW_REDIS_URL" in line


async def test_a_port_in_use_is_reported_once(shared, tmp_path):
    port = free_port()
    file = tmp_path / "gateway.json5"
    file.write_text(json.dumps(shared), encoding="utf-8")
    arguments = ["serve", "--config", str(file), "--port", str(port), "--workers", "2"]
    with socket.create_server(("127.0.0.1", port), reuse_port=True):
        async with started(*arguments, state=tmp_path) as process:
            assert await process.ended() == 1
    assert process.errors.splitlines() == [f"openclaw-gateway can't listen on 127.0.0.1:{port}: Address already in use"]


async def test_any_worker_shows_the_metrics_of_all_also_of_one_that_was_killed(shared, tmp_path, provider):
    model = provider.model(streams(chunk({"content": "Hello"}), chunk({}, "stop"), DONE))
    metrics_port = free_port()
    shared["gateway"]["metrics"] = {"port": metrics_port}

    async def scraped(url: str) -> Scraped:
        async with aiohttp.ClientSession(headers=HEADERS) as client, client.get(f"{url}/metrics") as response:
            assert response.status == 200, await response.text()
            return Scraped(await response.text())

    async def answers(url: str, times: int) -> None:
        """Each on its own connection, so that both workers get some."""
        for _ in range(times):
            async with aiohttp.ClientSession() as client, await streamed_whole(client, url, model) as response:
                assert response.status == 200

    counted = ("openclaw_gateway_upstream_attempts_total", {"outcome": "answered"})

    async def until_counted(url: str, number: int) -> Scraped:
        """The other worker's count arrives within a second."""
        end = asyncio.get_running_loop().time() + MAX_WAIT
        while (now := await scraped(url))[counted] < number and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.1)
        assert now[counted] == number, [sample for sample in now.samples if sample.name == counted[0]]
        return now

    async with serving(tmp_path, shared, "--workers", "2") as gateway:
        own = f"http://127.0.0.1:{metrics_port}"
        await answers(gateway.url, 40)
        for url in (gateway.url, own, gateway.url, own):
            await until_counted(url, 40)
        await asyncio.sleep(0)
        victim = children(gateway.process.pid).pop()
        now = await until_counted(own, 40)
        assert now["openclaw_gateway_build_info"] == now["openclaw_gateway_config_generation"] == 1
        os.kill(victim, signal.SIGKILL)
        await until(lambda: gateway.process.errors.count("Worker ended") == 1, "the parent has seen the end")
        await until_counted(gateway.url, 40)
        await until(lambda: len(children(gateway.process.pid)) == 2, "a new worker")
        await answers(gateway.url, 20)
        for url in (gateway.url, own, gateway.url, own):
            await until_counted(url, 60)


async def streamed_whole(client: aiohttp.ClientSession, url: str, model: Model) -> aiohttp.ClientResponse:
    response = await client.post(f"{url}/v1/chat/completions", json=ASKED, headers=HEADERS | model.chosen)
    await response.read()
    return response
