"""Client keys that instances share over a real Redis: what one changes holds at the others, whatever Redis does."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gateway.access.key_registry import KeyRegistry, Revocation
from gateway.config.redis_url import parse_redis_url
from gateway.core.client_key import KeyRecord, digest_of
from gateway.core.errors import AlreadyExists, Unavailable
from gateway.key_sync import KEY_VERSION, KeySync
from gateway.state.connect import close_client, create_client
from gateway.state.keys.redis import RedisKeys, version_key
from gateway.state.redis_client import RedisClient
from openclaw_ratelimit import ReplicationLink
from tests.servers import redis_server

MAX_WAIT = 10.0


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path, appendonly="yes", appendfsync="always") as ready:
        yield ready


@pytest_asyncio.fixture
async def instance(server):
    """Starts instances. Returns their registries, with the link as `link`."""
    async with AsyncExitStack() as stack:

        async def start(*, syncs=True):
            client = create_client(parse_redis_url(server.url))
            stack.push_async_callback(close_client, client)
            registry = KeyRegistry()
            registry.link = ReplicationLink(client, name="test", heartbeat=0.1, max_backoff=0.05)
            if syncs:
                KeySync(registry.link, registry)
            await registry.link.open(keep_trying=True)
            stack.push_async_callback(registry.link.close)
            await stack.enter_async_context(registry.serving(RedisKeys(RedisClient(client), prefix="test")))
            return registry

        yield start


def opens(registry, key):
    return registry.replica.get(digest_of(key)) is not None


async def until(condition):
    async with asyncio.timeout(MAX_WAIT):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_key_opens_every_instance_and_its_revocation_closes_them(instance):
    first, second, third = [await instance() for _ in range(3)]
    key = await first.create(KeyRecord("ci", ""))
    assert opens(first, key)
    await until(lambda: opens(second, key) and opens(third, key))
    assert await second.revoke("ci") == Revocation(existed=True, pending=False)
    assert not opens(second, key)
    began = asyncio.get_running_loop().time()
    await until(lambda: not opens(first, key) and not opens(third, key))
    assert asyncio.get_running_loop().time() - began < 1.0
    assert await first.revoke("ci") == Revocation(existed=False, pending=False)


async def test_an_instance_that_starts_later_knows_the_keys(instance):
    first = await instance()
    keys = [await first.create(KeyRecord(f"k{number}", "")) for number in range(5)]
    second = await instance()
    assert all(opens(second, key) for key in keys)
    with pytest.raises(AlreadyExists):
        await second.create(KeyRecord("k3", ""))


async def test_a_change_without_a_message_is_noticed_at_the_next_heartbeat(instance):
    silent, second = await instance(syncs=False), await instance()
    key = await silent.create(KeyRecord("ci", ""))
    await until(lambda: opens(second, key))
    await silent.revoke("ci")
    await until(lambda: not opens(second, key))


async def test_a_revocation_while_redis_is_away_holds_here_at_once_and_elsewhere_when_it_is_back(instance, server):
    first, second = await instance(), await instance()
    key, other = await first.create(KeyRecord("ci", "")), await first.create(KeyRecord("other", ""))
    await until(lambda: opens(second, other))
    await server.stop()
    await until(lambda: not first.link.available and not second.link.available)
    assert await first.revoke("ci") == Revocation(existed=True, pending=True)
    assert not opens(first, key)
    assert opens(second, key), "it can't know"
    assert opens(first, other)
    assert opens(second, other), "the replica stands"
    with pytest.raises(Unavailable):
        await first.create(KeyRecord("new", ""))
    with pytest.raises(Unavailable):
        await first.revoke("unknown")
    await server.start()
    await until(lambda: not opens(second, key))
    assert not opens(first, key)
    assert opens(second, other)
    assert [record.name for record in await first.records()] == ["other"]


async def test_a_revoked_key_does_not_return_with_an_older_copy_of_the_store(instance, server):
    first, second = await instance(), await instance()
    key = await first.create(KeyRecord("ci", ""))
    value = await server.ask("HGET", "{test}:client-keys", "ci")
    await until(lambda: opens(second, key))
    await first.revoke("ci")
    await until(lambda: not opens(second, key))
    # As after a failover to a replica that had not received the revocation.
    await server.ask("HSET", "{test}:client-keys", "ci", value)
    await server.ask("HINCRBY", "{test}:client-keys-version", "version", -1)

    async def stored():
        return await server.ask("HEXISTS", "{test}:client-keys", "ci")

    async with asyncio.timeout(MAX_WAIT):
        while await stored():
            await asyncio.sleep(0.01)
    await until(lambda: not opens(second, key))
    assert not opens(first, key)


async def test_a_key_that_is_made_again_under_a_revoked_name_works(instance):
    first, second = await instance(), await instance()
    old = await first.create(KeyRecord("ci", ""))
    await first.revoke("ci")
    new = await second.create(KeyRecord("ci", ""))
    await until(lambda: opens(first, new))
    assert opens(second, new)
    await until(lambda: not opens(second, old))
    assert not opens(first, old)


async def test_keys_of_a_redis_that_lost_its_data_open_nothing(instance, server):
    first = await instance()
    key = await first.create(KeyRecord("ci", ""))
    await server.flush()
    await until(lambda: not opens(first, key))


async def test_an_instance_that_starts_without_redis_reads_the_keys_when_it_is_there(instance, server):
    first = await instance()
    key = await first.create(KeyRecord("ci", ""))
    await server.stop()
    late = await instance()
    assert not late.replica.loaded
    await server.start()
    await until(lambda: opens(late, key))
    assert late.replica.loaded


async def test_the_last_use_is_stored_at_the_end_and_seen_by_all(instance, server):
    first = await instance()
    await first.create(KeyRecord("ci", ""))
    first.replica.used.add("ci")
    assert (await first.last_used(["ci"])).keys() == {"ci"}
    assert not await server.ask("HGETALL", "{test}:client-key-uses")
    async with first.serving(first._store):
        pass
    second = await instance()
    assert (await second.last_used(["ci"])).keys() == {"ci"}
    assert first.replica.used == set()


async def test_many_changes_at_once_leave_all_instances_alike(instance):
    registries = [await instance() for _ in range(3)]
    keys = await asyncio.gather(*(registries[number % 3].create(KeyRecord(f"k{number}", "")) for number in range(120)))
    await asyncio.gather(*(registries[(number + 1) % 3].revoke(f"k{number}") for number in range(0, 120, 2)))
    expected = [key for number, key in enumerate(keys) if number % 2]
    await until(lambda: all(len(registry.replica) == len(expected) for registry in registries))
    for registry in registries:
        assert all(opens(registry, key) for key in expected)


async def test_no_key_travels_over_the_channel(instance, server):
    first = await instance()
    heard = []
    first.heard = lambda version, name: heard.append((version, name))
    key = await first.create(KeyRecord("ci", ""))
    await until(lambda: heard)
    assert heard[0][1] == "ci"
    assert key not in repr(heard)


async def test_a_damaged_version_does_not_hide_a_later_change(instance, server):
    first, second = await instance(), await instance()
    key = await first.create(KeyRecord("ci", ""))
    await until(lambda: opens(second, key))
    await server.ask("HSET", version_key("test"), "version", "{garbage")
    await until(lambda: first._version == second._version == 0)
    assert opens(first, key)
    assert opens(second, key)
    assert await second.revoke("ci") == Revocation(existed=True, pending=False)
    await until(lambda: not opens(first, key))


async def test_a_foreign_key_of_the_versions_name_does_not_cost_an_instance_its_link(instance, server):
    registry = await instance()
    await server.ask("SET", version_key("test"), "foreign")
    assert await registry.link.ask(KEY_VERSION, [version_key("test")], []) == 0
    with pytest.raises(Unavailable):
        await registry.create(KeyRecord("ci", ""))
