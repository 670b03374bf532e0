"""The ledger against the provider's own books: requests of all kinds, with faults, fallbacks and disconnects."""

import asyncio

import aiohttp
import pytest
from yarl import URL

from tests.e2e.process import serving
from tests.fault.conftest import TOKEN, settings
from tests.fault.ledger_load import LIMITS, Books, Load, compared, read_rows, serve_books, still_reserved

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 600
PROCESSES = 4


@pytest.fixture(scope="module")
def config(providers):
    made = settings(providers, {})
    made["agents"]["defaults"]["model"] = {"primary": "fake/first", "fallbacks": ["fake/second"]}
    made["memory"]["search"]["model"] = "vectors"
    cost = {"input": 1, "output": 2}
    made["models"]["providers"]["fake"]["models"] = [{"id": name, "cost": cost} for name in ("first", "second")]
    made["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}
    made["gateway"] |= LIMITS
    made["gateway"]["retry"] |= {"maxRetries": 0, "lastFirstEventTimeoutMs": 5000, "lastIdleTimeoutMs": 5000}
    return made


async def test_the_ledger_equals_the_providers_books_row_for_row(client, gateway, provider):
    books = Books(seed=7)
    serve_books(provider, books)
    load = Load(client, seed=7)
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(load.kill_processes(PROCESSES, URL(gateway.url).port, TOKEN))
        group.create_task(load.run(REQUESTS))
    assert len(killing.result()) == PROCESSES
    result = await compared(client, books, killed=load.killed)
    assert result.problems == []
    assert result.exact > REQUESTS * 0.8
    assert result.estimated > 10
    assert result.unbilled > 10
    async with client.get("/api/v1/usage?by=model&since=1h") as response:
        report = await response.json()
    assert report["lost_rows"] == 0
    assert report["total"]["attempts"] == result.exact + result.estimated + result.unbilled + result.unsent
    costs = {row["model"]: row["cost"] for row in report["data"]}
    assert costs["fake/first"] > costs["fake/second"] > 0
    assert costs["fake/vectors"] is None
    rows = await read_rows(client)
    for row in rows:
        expected = (row["prompt"] + 2 * row["completion"]) / 1e6 if row["model"] in ("first", "second") else None
        assert row["cost"] == (pytest.approx(expected) if row["usage_source"] != "none" and expected else None)
    assert await still_reserved(client) == []


async def test_hedged_and_retried_requests_are_booked_once_each(config, provider, tmp_path):
    retry = config["gateway"]["retry"] | {"hedgeAfterMs": 5, "maxRetries": 1, "backoffMs": 1, "cooldownMs": 1}
    books = Books(seed=8, max_delay=0.02)
    serve_books(provider, books)
    async with (
        serving(tmp_path, config | {"gateway": config["gateway"] | {"retry": retry}}) as gateway,
        aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {TOKEN}"}) as session,
    ):
        load = Load(session, seed=8)
        await load.run(REQUESTS // 2)
        # Each request may have an attempt that lost.
        result = await compared(session, books, killed={*books.entries, *load.killed}, hedged=True)
        assert result.problems == []
        hedged = [
            name for name, entries in books.entries.items() if {one.model for one in entries} == {"first", "second"}
        ]
        assert len(hedged) > REQUESTS // 10
        rows = await read_rows(session)
        assert sum(row["outcome"] == "cancelled" for row in rows) > REQUESTS // 10
        assert await still_reserved(session) == []
