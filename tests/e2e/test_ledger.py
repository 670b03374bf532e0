"""The ledger of a real gateway: through its API, its command, SIGTERM under load, and kill -9."""

import asyncio
import csv
import io
import json
import signal

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving, started
from tests.fault.acts import later, says
from tests.fault.conftest import SLACK, settings
from tests.fault.provider import FaultProvider

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


LAST_SECOND = 1.0 + SLACK
CLIENTS = 8


async def until(happens):
    """Wait for what the load causes."""
    async with asyncio.timeout(30):
        while not happens():
            await asyncio.sleep(0.02)


def configuration(provider, **more):
    made = settings({"fake": {"baseUrl": provider.url, "apiKey": "k"}}, {"other": {}})
    made["models"]["providers"]["fake"]["models"] = [{"id": "unscripted", "cost": {"input": 1, "output": 10}}]
    made["gateway"] |= {"drain": {"noticeMs": 0, "timeoutMs": 10_000}, **more}
    return made


async def chat(session, agent="main", **more):
    body = {**CHAT, "model": f"openclaw/{agent}", **more}
    async with session.post("/v1/chat/completions", json=body) as response:
        return response.status, await response.read()


async def rows_of(session):
    async with session.get("/api/v1/usage?by=row&since=1d") as response:
        assert response.status == 200
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def usage_of(session, query=""):
    async with session.get(f"/api/v1/usage?{query}") as response:
        return response.status, await response.json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(tmp_path_factory):
    """A client of a gateway that nobody else uses."""
    async with FaultProvider().serving() as provider:
        provider.model("unscripted", says())
        async with (
            serving(tmp_path_factory.mktemp("state"), configuration(provider)) as gateway,
            aiohttp.ClientSession(gateway.url, headers=HEADERS) as ready,
        ):
            yield ready


async def command(gateway, *arguments, state):
    config = str(state / "gateway.json5")
    async with started("usage", "--url", gateway.url, "--config", config, *arguments, state=state) as process:
        status = await process.ended()
    return status, process.output, process.errors


async def test_the_api_and_the_command_show_the_same_sums_and_they_survive_a_restart(tmp_path):
    async with FaultProvider().serving() as provider:
        provider.model("unscripted", says())
        made = configuration(provider)
        async with serving(tmp_path, made) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
            for agent in ("main", "main", "other"):
                assert (await chat(session, agent))[0] == 200
            assert (await chat(session, stream=True))[0] == 200
        async with serving(tmp_path, made) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
            _, report = await usage_of(session)
            assert report["by"] == ["agent"]
            assert [(row["agent"], row["attempts"], row["prompt_tokens"]) for row in report["data"]] == [
                ("main", 3, 33),
                ("other", 1, 11),
            ]
            assert report["total"]["completion_tokens"] == 240
            assert report["total"]["cost"] == pytest.approx((44 + 2400) / 1e6)
            assert report["lost_rows"] == 0
            async with session.get("/api/v1/usage?by=model,day", headers={"Accept": "text/csv"}) as response:
                assert response.content_type == "text/csv"
                (line,) = csv.DictReader(io.StringIO(await response.text()))
            assert (line["model"], line["attempts"], line["cost"]) == ("fake/unscripted", "4", "0.002444")
            status, output, _ = await command(gateway, state=tmp_path)
            assert status == 0
            assert [row.split() for row in output.splitlines()] == [
                ["agent", "attempts", "failed", "prompt", "cached", "completion", "cost", "$"],
                ["main", "3", "0", "33", "0", "180", "0.001833"],
                ["other", "1", "0", "11", "0", "60", "0.000611"],
                ["total", "4", "0", "44", "0", "240", "0.002444"],
            ]
            status, output, _ = await command(gateway, "--by", "day", "--format", "json", state=tmp_path)
            assert json.loads(output)["total"]["attempts"] == 4
            status, output, _ = await command(gateway, "--by", "row", "--format", "csv", state=tmp_path)
            assert len(list(csv.DictReader(io.StringIO(output)))) == 4
            status, _, errors = await command(gateway, "--by", "colour", state=tmp_path)
            assert (status, "`by`: must be" in errors) == (1, True)


async def test_nothing_is_recorded_when_the_ledger_is_off_or_memory_would_lose_it(tmp_path):
    async with FaultProvider().serving() as provider:
        provider.model("unscripted", says())
        made = configuration(provider, state={"backend": "memory"})
        async with serving(tmp_path, made) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
            assert (await chat(session))[0] == 200
            status, body = await usage_of(session)
            assert (status, body["error"]["code"]) == (404, "ledger_disabled")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("by=colour", "by"),
        ("by=agent,agent", "by"),
        ("by=agent,model,day,key", "by"),
        ("since=yesterday", "since"),
        ("until=-1", "until"),
        ("format=xml", "format"),
    ],
)
async def test_a_query_that_makes_no_sense_is_a_400_that_names_the_parameter(session, query, param):
    status, body = await usage_of(session, query)
    assert (status, body["error"]["param"]) == (400, param)


async def test_sigterm_under_load_loses_no_row(tmp_path):
    async with FaultProvider().serving() as provider:
        model = provider.model("unscripted", later(0.05, says()))
        made = configuration(provider)
        async with serving(tmp_path, made) as gateway:
            stopping = asyncio.Event()

            async def client():
                async with aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
                    while not stopping.is_set():
                        try:
                            await chat(session, stream=True)
                        except aiohttp.ClientError:
                            return  # the gateway takes no more connections

            clients = [asyncio.create_task(client()) for _ in range(16)]
            await until(lambda: len(model.calls) > 200)
            gateway.process.signal(signal.SIGTERM)
            assert await gateway.process.ended() == 0
            stopping.set()
            await asyncio.gather(*clients)
        async with serving(tmp_path, made) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
            rows = await rows_of(session)
        assert len(rows) == len(model.calls)


async def test_kill_9_loses_the_rows_of_the_last_second_at_most_and_the_next_start_counts_them(tmp_path):
    async with FaultProvider().serving() as provider:
        model = provider.model("unscripted", says())
        made = configuration(provider)
        async with serving(tmp_path, made) as gateway:

            async def client():
                async with aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
                    try:
                        while True:
                            await chat(session)
                    except aiohttp.ClientError:
                        return  # killed

            clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
            await until(lambda: len(model.calls) > 200 and model.calls[-1].at > model.calls[0].at + 2 * LAST_SECOND)
            gateway.process.signal(signal.SIGKILL)
            killed = asyncio.get_running_loop().time()
            await gateway.process.ended()
            await asyncio.gather(*clients)
        async with serving(tmp_path, made) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as session:
            rows = await rows_of(session)
            _, report = await usage_of(session)
            async with session.get("/metrics") as response:
                metrics = await response.text()
            _, _, notes = await command(gateway, state=tmp_path)
        lost = len(model.calls) - len(rows)
        last_second = sum(call.at > killed - LAST_SECOND for call in model.calls)
        assert 0 <= lost <= last_second
        counted = report["lost_rows"]
        assert lost <= counted <= lost + CLIENTS, "an attempt may not have reached the provider yet"
        assert f'openclaw_gateway_ledger_rows_total{{outcome="lost"}} {counted}' in metrics
        assert f"a process was killed or the store did not keep up: {counted}" in notes
        assert f'"rows":{counted},"event":"An earlier process was killed' in gateway.process.errors
