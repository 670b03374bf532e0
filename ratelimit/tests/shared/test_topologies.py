"""Redis behind Sentinel, and as a cluster: real servers, real failover."""

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest_asyncio
from redis.asyncio import Redis, Sentinel
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError  # noqa: A004  redis-py's own

from support.instances import NEVER, POLICY, Instance, until
from support.servers import redis_server, sentinel

AT_ONCE = {"repl_diskless_sync_delay": "0"}  # newer ones wait five seconds for more replicas


@asynccontextmanager
async def instance_behind(port):
    """An instance whose server a Sentinel names."""
    asked = Sentinel([("127.0.0.1", port)], socket_timeout=2.0)
    async with Instance(asked.master_for("service", socket_timeout=2.0, retry=NEVER)) as instance:
        yield instance
    for one in asked.sentinels:
        await one.aclose()


async def test_a_failover_by_sentinel_loses_no_lock_even_to_an_empty_replica(tmp_path):
    folders = [tmp_path / name for name in ("primary", "replica", "sentinel")]
    for folder in folders:
        folder.mkdir()
    async with (
        redis_server(folders[0], **AT_ONCE) as primary,
        redis_server(folders[1], replicaof=f"127.0.0.1 {primary.port}") as replica,
        following(primary),
        sentinel(folders[2], primary) as port,
        instance_behind(port) as one,
        instance_behind(port) as other,
    ):
        assert one.link.available
        await one.failures("locked", 3)
        await one.failures("failed", 1)
        await until(lambda: other.limiter.locked_for("locked") and other.limiter.must_ask("failed"))
        await until_listed(primary, port)
        await primary.kill()
        await until(lambda: not one.link.available and not other.link.available)
        assert not (await other.limiter.record_failure("locked")).allowed
        await until_primary(replica)
        await replica.flush()
        await until(lambda: one.link.available and other.link.available, 20)
        await until_asked(lambda: replica.ask("ZCARD", "{test}:failures:locks"), lambda count: count == 1)
        assert [await one.failures("failed", 1), await other.failures("failed", 5)] == [1, 1]


@asynccontextmanager
async def following(primary):
    """The replica of `primary` is up to date."""
    await until_asked(
        lambda: primary.ask("INFO", "replication"), lambda info: info.get("slave0", {}).get("state") == "online"
    )
    yield


async def until_listed(primary, port):
    """Sentinel has heard from the replica itself, and the replica has all data."""
    async with Redis(port=port, decode_responses=True) as client:
        await until_asked(
            lambda: client.sentinel_slaves("service"),
            lambda known: [one["master-link-status"] for one in known] == ["ok"],
        )
    assert await primary.ask("WAIT", 1, 10_000) == 1


async def until_primary(replica):
    """It was promoted."""

    async def role():
        with suppress(ConnectionError):  # its clients are sent away when it changes
            return (await replica.ask("ROLE"))[0]
        return None

    await until_asked(role, lambda answer: answer == "master")


async def until_asked(ask, right, seconds=20.0):
    """Ask again and again until the answer is right; fails with the last answer when it never is."""
    answer = None
    try:
        async with asyncio.timeout(seconds):
            while not right(answer := await ask()):
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"after {seconds} s it is still {answer!r}") from None


@pytest_asyncio.fixture
async def cluster(tmp_path):
    """Two real nodes that share the slots between them."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    settings = {"cluster_enabled": "yes", "cluster_node_timeout": "1000"}
    async with redis_server(folders[0], **settings) as first, redis_server(folders[1], **settings) as second:
        await first.ask("CLUSTER", "ADDSLOTS", *range(8192))
        await second.ask("CLUSTER", "ADDSLOTS", *range(8192, 16384))
        await first.ask("CLUSTER", "MEET", "127.0.0.1", second.port)
        for server in (first, second):
            await until_asked(partial(server.ask, "CLUSTER", "INFO"), lambda info: "cluster_state:ok" in info)
        yield first, second


async def test_a_cluster_counts_as_one_server(cluster):
    nodes = [ClusterNode("127.0.0.1", cluster[0].port)]
    clients = [RedisCluster(startup_nodes=nodes) for _ in range(2)]
    async with Instance(clients[0]) as one, Instance(clients[1]) as other:
        assert one.link.available, one.link.reason
        assert other.link.available, other.link.reason
        assert sum([await one.failures("a", 10), await other.failures("a", 10)]) == POLICY.max_attempts
        await one.failures("b", 3)
        await until(lambda: other.limiter.locked_for("a") and other.limiter.locked_for("b"))
        for server in cluster:
            await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(lambda: all(len(each.changes) >= 3 and each.link.available for each in (one, other)))
        assert await other.failures("a", 3) == 0
