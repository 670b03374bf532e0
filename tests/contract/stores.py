"""The kinds of storage. All contract tests of stores run on each, over Redis with the documented rights."""

from contextlib import AsyncExitStack, asynccontextmanager

from gateway.config.redis_url import parse_redis_url
from gateway.state.redis_client import open_redis
from gateway.state.schema import MIGRATIONS
from gateway.state.sqlite import Database
from tests.redis_rights import create_user, denials
from tests.servers import redis_server

SHARED = ("redis", "cluster")
BACKENDS = ("memory", "sqlite", *SHARED)


@asynccontextmanager
async def servers(directory):
    """A Redis for each of SHARED. The cluster has one node, which refuses calls that span several slots."""
    async with AsyncExitStack() as stack:
        started = {}
        for backend in SHARED:
            (directory / backend).mkdir()
            settings = {"cluster_enabled": "yes"} if backend == "cluster" else {}
            started[backend] = await stack.enter_async_context(redis_server(directory / backend, **settings))
        await started["cluster"].ask("CLUSTER", "ADDSLOTS", *range(16384))
        while "cluster_state:ok" not in str(await started["cluster"].ask("CLUSTER", "INFO")):
            pass
        for server in started.values():
            await create_user(server, any_key=True)
        yield started
        for server in started.values():
            assert await denials(server) == []


@asynccontextmanager
async def open_backend(backend, redis, directory):
    """The database of a backend, or the client of its Redis."""
    if backend in SHARED:
        scheme = "redis+cluster" if backend == "cluster" else "redis"
        url = f"{scheme}://gateway:SECRET@127.0.0.1:{redis[backend].port}"
        async with open_redis(parse_redis_url(url)) as client:
            yield client
    else:
        database = Database(directory / "state" / "gateway.sqlite" if backend == "sqlite" else None, MIGRATIONS)
        try:
            yield database
        finally:
            await database.close()
