"""The registry of client keys over a database of this process, which reports no change of its own."""

import asyncio

import pytest

from gateway.access.key_registry import KeyRegistry, Revocation
from gateway.core.client_key import KeyRecord, digest_of
from gateway.state.keys.sqlite import SqliteKeys
from gateway.state.schema import MIGRATIONS
from gateway.state.sqlite import Database


@pytest.fixture
async def registry():
    database = Database(None, MIGRATIONS)
    registry = KeyRegistry()
    async with registry.serving(SqliteKeys(database)):
        yield registry
    await database.close()


async def test_a_revocation_that_overtakes_the_creation_of_its_key_holds_here(registry):
    creating = asyncio.create_task(registry.create(KeyRecord("ci", "")))
    await asyncio.sleep(0)  # the store adds it now
    revoking = asyncio.create_task(registry.revoke("ci"))
    key = await creating
    assert await revoking == Revocation(existed=True, pending=False)
    assert registry.replica.get(digest_of(key)) is None
    assert await registry.records() == []


class Failing(SqliteKeys):
    """A store with a defect, as long as `defect` is set."""

    defect = False

    async def version(self):
        if self.defect:
            raise ZeroDivisionError
        return await super().version()


async def test_a_defect_of_the_store_is_logged_once_and_ends_nothing(capsys, monkeypatch):
    monkeypatch.setattr("gateway.access.key_registry._RETRY", 0.001)
    database = Database(None, MIGRATIONS)
    registry, store = KeyRegistry(), Failing(database)
    other = KeyRecord("ci", digest_of("another instance made it").hex())
    async with registry.serving(store):
        await store.add(other)
        store.defect = True
        registry.read_again()
        for _ in range(20):
            await asyncio.sleep(0.002)
        assert registry.replica.get(digest_of("another instance made it")) is None
        store.defect = False
        async with asyncio.timeout(10):
            while registry.replica.get(digest_of("another instance made it")) is None:
                await asyncio.sleep(0.002)
    await database.close()
    log = capsys.readouterr()
    assert (log.out + log.err).count("A task of the gateway fails and is tried again") == 1
    assert "ZeroDivisionError" in log.out + log.err
