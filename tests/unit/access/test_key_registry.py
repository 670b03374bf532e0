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
