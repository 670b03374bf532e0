"""Checks of Redis: whether it answers, how fast, its version and what it does when it is full."""

import time
from collections.abc import AsyncIterator
from typing import Any

from gateway.config.redis_url import RedisAddress, redis_address
from gateway.core.errors import Unavailable
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.state.connect import Client
from gateway.state.redis_client import RedisClient, open_redis

MIN_VERSION = (6, 2)
MAX_LATENCY = 0.02
"""Seconds of a PING."""
_PINGS = 5


async def check_redis(setup: Setup) -> AsyncIterator[Finding]:
    """Nothing without a configured Redis."""
    address = None if setup.valid is None else redis_address(setup.valid.loaded.config.gateway.redis)
    if address is None:
        return
    where = named(address)
    async with open_redis(address) as redis:
        try:
            times = [await _ping(redis) for _ in range(_PINGS)]
        except Unavailable as error:
            fix = "start Redis, or correct gateway.redis.url or OPENCLAW_REDIS_URL (host, port, user, password)"
            yield Finding("redis.unreachable", f"{where} does not answer: {error}", fix)
            return
        if (latency := sorted(times)[_PINGS // 2]) > MAX_LATENCY:
            seen = f"{where} answers a PING in {latency * 1000:.0f} ms"
            fix = "run Redis in the same data centre (gateway.redis.url), on an idle machine"
            yield Finding("redis.slow", seen, fix)
        async for finding in _inspect(redis, address, where):
            yield finding


async def _ping(redis: RedisClient) -> float:
    """Seconds of one round trip. Raises Unavailable."""
    start = time.perf_counter()
    await redis.check()
    return time.perf_counter() - start


async def _inspect(redis: RedisClient, address: RedisAddress, where: str) -> AsyncIterator[Finding]:
    """Version and eviction policy; the user of the gateway may lack the right to ask for them."""
    if address.kind == "cluster":
        seen = f"{where} is a cluster, whose nodes may differ"
        fix = "run on each node: redis-cli INFO server, and redis-cli CONFIG GET maxmemory-policy (want noeviction)"
        yield Finding("redis.not-inspected", seen, fix)
        return
    try:
        info = await redis.execute(_info, use="INFO")
    except Unavailable:
        fix = "let the gateway's Redis user run INFO: ACL SETUSER NAME +info"
        yield Finding("redis.not-inspected", f"{where} refuses INFO", fix)
        return
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < MIN_VERSION:
        fix = f"update Redis to {'.'.join(map(str, MIN_VERSION))} or later"
        yield Finding("redis.old", f"{where} is version {version}", fix)
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)):
        fix = "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
        yield Finding("redis.evicts", f"{where} has maxmemory-policy {policy}", fix)


async def _info(client: Client) -> dict[str, Any]:
    return {**await client.info("server"), **await client.info("memory")}


def named(address: RedisAddress) -> str:
    """The server in words, without user and password."""
    if address.kind == "socket":
        return f"Redis at {address.path}"
    return "Redis at " + ", ".join(f"{host}:{port}" for host, port in address.hosts)
