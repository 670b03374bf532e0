"""Creates Redis clients: bounded pools, short timeouts, no hidden retries. Only `sentinels` creates others."""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from gateway.config.redis_url import RedisAddress
from gateway.state.sentinels import sentinels_of

Client = Redis | RedisCluster

_MAX_CONNECTIONS = 64
_POOL_TIMEOUT = 1.0  # seconds to wait for a free connection of the pool
_CONNECT_TIMEOUT = 1.0  # seconds
_READ_TIMEOUT = 2.0  # seconds


def create_client(address: RedisAddress) -> Client:
    """Create a client. It connects at its first call. The caller closes it with `close_client`."""
    # redis-py would try a dead server ten times with pauses. Callers have their own retry rules.
    settings: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": _READ_TIMEOUT,
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # each connection would ask for them
    }
    match address.kind:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            return RedisCluster(startup_nodes=nodes, ssl=address.tls, **settings)
        case "sentinel":
            sentinels = sentinels_of(address, settings)
            primary: Redis = sentinels.master_for(address.service, ssl=address.tls, db=address.database, **settings)
            return primary
        case "socket":
            return Redis.from_pool(_pool(settings, UnixDomainSocketConnection, path=address.path, db=address.database))
        case "server":
            (host, port) = address.hosts[0]
            kind = {"connection_class": SSLConnection} if address.tls else {}
            return Redis.from_pool(_pool(settings, host=host, port=port, db=address.database, **kind))


async def close_client(client: Redis | RedisCluster) -> None:
    """Close the client's connections, also those that redis-py does not close: to Sentinels, and to nodes that a
    cluster's client had replaced or was about to look up again.
    """
    await client.aclose()
    if isinstance(client, RedisCluster):
        for attribute in ("nodes_cache", "startup_nodes"):
            await client.nodes_manager.aclose(attribute)
        if unowned := {task for task in asyncio.all_tasks() if _disconnects(task)}:
            await asyncio.wait(unowned, timeout=_CONNECT_TIMEOUT)
    pool = client.connection_pool if isinstance(client, Redis) else None
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _disconnects(task: "asyncio.Task[Any]") -> bool:
    """Whether the task is one in which redis-py disconnects a replaced node; it awaits none of them."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "disconnect" in code.co_name and "redis" in code.co_filename


def _pool(settings: dict[str, Any], kind: type[Any] | None = None, **more: Any) -> BlockingConnectionPool:
    if kind is not None:
        more["connection_class"] = kind
        settings = {name: value for name, value in settings.items() if name != "socket_keepalive"}
    return BlockingConnectionPool(max_connections=_MAX_CONNECTIONS, timeout=_POOL_TIMEOUT, **settings, **more)
