"""The ledger against the provider's own books: requests of all kinds, with faults, fallbacks and disconnects."""

import asyncio

import pytest
from yarl import URL

from tests.fault.conftest import TOKEN, settings
from tests.fault.ledger_load import Books, Load, compared, read_rows, serve_books

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
