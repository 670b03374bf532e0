"""Where what outlives a request can be kept: every store's contract is tried on each of these."""

from contextlib import AsyncExitStack, asynccontextmanager

from gateway.config.redis_url import parse_redis_url
from gateway.state.connect import close, redis_client
from gateway.state.link import RedisLink
from gateway.state.schema import MIGRATIONS
from gateway.state.sqlite import Database
from tests.servers import redis_server

SHARED = ("redis", "cluster")
PLACES = ("memory", "sqlite", *SHARED)


@asynccontextmanager
async def servers(directory):
    """A Redis for each of SHARED; the cluster has one node, which refuses what would span several slots."""
    async with AsyncExitStack() as stack:
        started = {}
        for place in SHARED:
            (directory / place).mkdir()
            settings = {"cluster_enabled": "yes"} if place == "cluster" else {}
            started[place] = await stack.enter_async_context(redis_server(directory / place, **settings))
        await started["cluster"].ask("CLUSTER", "ADDSLOTS", *range(16384))
        while "cluster_state:ok" not in str(await started["cluster"].ask("CLUSTER", "INFO")):
            pass
        yield started


@asynccontextmanager
async def opened(place, redis, directory):
    """The database of a place, or the link to it."""
    if place in SHARED:
        scheme = "redis+cluster" if place == "cluster" else "redis"
        client = redis_client(parse_redis_url(f"{scheme}://127.0.0.1:{redis[place].port}"))
        try:
            yield RedisLink(client)
        finally:
            await close(client)
    else:
        database = Database(directory / "state" / "gateway.sqlite" if place == "sqlite" else None, MIGRATIONS)
        try:
            yield database
        finally:
            await database.close()
