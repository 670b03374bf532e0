"""The one place that makes Redis clients: bounded pools, short waits, no hidden retries."""

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from gateway.config.redis_url import RedisAddress

_MOST_CONNECTIONS = 64
_POOL_WAIT = 1.0  # seconds for a connection of the pool
_CONNECTING = 1.0  # seconds
_ANSWERING = 2.0  # seconds


def redis_client(address: RedisAddress) -> Redis | RedisCluster:
    """A client; connects when it is used. The caller closes it with `close`."""
    # redis-py would try a dead server ten times with pauses; whoever calls here knows better when to try again.
    settings: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": _ANSWERING,
        "socket_connect_timeout": _CONNECTING,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    match address.kind:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            return RedisCluster(startup_nodes=nodes, ssl=address.tls, **settings)
        case "sentinel":
            # The credential is the server's; Sentinels are asked without one.
            asked = {**settings, "username": None, "password": None, "ssl": address.tls}
            sentinel = Sentinel(address.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
            primary: Redis = sentinel.master_for(address.service, ssl=address.tls, db=address.database, **settings)
            return primary
        case "socket":
            return Redis.from_pool(_pool(settings, UnixDomainSocketConnection, path=address.path, db=address.database))
        case "server":
            (host, port) = address.hosts[0]
            kind = {"connection_class": SSLConnection} if address.tls else {}
            return Redis.from_pool(_pool(settings, host=host, port=port, db=address.database, **kind))


async def close(client: Redis | RedisCluster) -> None:
    """Close the client's connections, and those to the Sentinels, which redis-py leaves open."""
    await client.aclose()
    pool = client.connection_pool if isinstance(client, Redis) else None
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _pool(settings: dict[str, Any], kind: type[Any] | None = None, **more: Any) -> BlockingConnectionPool:
    if kind is not None:
        more["connection_class"] = kind
        settings = {name: value for name, value in settings.items() if name != "socket_keepalive"}
    return BlockingConnectionPool(max_connections=_MOST_CONNECTIONS, timeout=_POOL_WAIT, **settings, **more)
