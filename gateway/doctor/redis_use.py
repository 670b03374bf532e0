"""The deep checks of Redis: whether it takes writes, whether its user may do what the gateway does, and its clock.

They write one key for a moment: `{PREFIX}:doctor` and `PREFIX:doctor`, `PREFIX` being `gateway.redis.keyPrefix`.
"""

import re
from collections.abc import AsyncIterator, Iterator

from gateway.config.redis_url import RedisAddress, redis_address
from gateway.core.errors import Unavailable
from gateway.doctor.finding import Finding
from gateway.doctor.reach import MAX_SKEW
from gateway.doctor.setup import Setup
from gateway.doctor.shared_store import named
from gateway.state.connect import Client
from gateway.state.redis_client import RedisClient, open_redis
from gateway.state.script import load_script

PROBE = load_script(__file__, "redis_probe")
COMMANDS = (
    "set KEY value", "get KEY", "mget KEY", "exists KEY", "ttl KEY", "pttl KEY", "expire KEY 5", "pexpire KEY 5000",
    "del KEY",
    "hset KEY field 1", "hsetnx KEY field 1", "hget KEY field", "hmget KEY field", "hgetall KEY", "hexists KEY field",
    "hincrby KEY field 1", "hlen KEY", "hscan KEY 0", "hdel KEY field",
    "rpush KEY value", "lindex KEY 0", "llen KEY", "lrange KEY 0 0", "lpop KEY",
    "zadd KEY 1 member", "zcard KEY", "zcount KEY 0 1", "zrange KEY 0 0", "zrangebyscore KEY 0 0", "zrank KEY member",
    "zrevrange KEY 0 0", "zrevrangebyscore KEY 0 0", "zscan KEY 0", "zscore KEY member", "zremrangebyrank KEY 9 9",
    "zremrangebyscore KEY 8 9", "zpopmin KEY", "zrem KEY member",
    "scan 0", "time",
)  # fmt: skip
"""What the gateway's scripts and stores call on keys; docs/deployment.md gives its user the same rights."""
_DENIED = re.compile(r"permission|can't (run|access|publish)")
_PREFIX = re.compile(r"@user_script: \d+: -?")  # of Redis 6 and 7.0
_WRITE = "set"


async def check_redis_use(setup: Setup) -> AsyncIterator[Finding]:
    """Nothing without a configured Redis, or with one that does not answer: the other check of Redis reports that."""
    config = None if setup.valid is None else setup.valid.loaded.config.gateway.redis
    address = None if config is None else redis_address(config)
    if config is None or address is None:
        return
    async with open_redis(address) as redis:
        try:
            await redis.check()
        except Unavailable:
            return
        async for finding in _use(redis, address, config.key_prefix):
            yield finding
        if address.kind != "cluster":
            for finding in await _clock(redis, named(address), setup):
                yield finding


async def _use(redis: RedisClient, address: RedisAddress, prefix: str) -> AsyncIterator[Finding]:
    channel = f"{{{prefix}}}:{address.database}:events"
    denied: set[str] = set()
    try:
        for key in (f"{{{prefix}}}:doctor", f"{prefix}:doctor"):
            replies = await redis.run_script(PROBE, [key], [*COMMANDS, f"publish {channel} EMPTY"])
            texts = [_PREFIX.sub("", one.decode() if isinstance(one, bytes) else str(one)) for one in replies]
            failures = dict(zip(texts[::2], texts[1::2], strict=True))
            denied |= {command for command, text in failures.items() if _DENIED.search(text)}
            if _WRITE in failures and _WRITE not in denied:
                yield _refuses_writes(named(address), failures[_WRITE])
                break
    except Unavailable:
        denied |= {"eval", "evalsha"}
    if address.kind != "cluster" and not await _may_subscribe(redis, channel):
        denied.add("subscribe")
    if denied:
        user = address.username or "default"
        rights = " ".join(f"+{command}" for command in sorted(denied))
        seen = f"{named(address)} does not let the user {user} run {', '.join(sorted(denied))}"
        keys = f"~{prefix}:* ~{{{prefix}}}:* &{{{prefix}}}:*:events"
        yield Finding("redis.rights", seen, f"redis-cli ACL SETUSER {user} {keys} {rights}")


def _refuses_writes(where: str, text: str) -> Finding:
    if text.startswith("OOM"):
        fix = "give Redis more memory (redis-cli CONFIG SET maxmemory 2gb, and the same in redis.conf)"
    elif text.startswith("READONLY"):
        fix = "let gateway.redis.url name the primary instead of a replica"
    else:
        fix = "correct what Redis says, see the log of Redis"
    return Finding("redis.no-writes", f"{where} refuses to write: {text.strip()}", fix)


async def _may_subscribe(redis: RedisClient, channel: str) -> bool:
    async def subscribe(client: Client) -> bool:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            return await pubsub.get_message(timeout=1.0) is not None

    try:
        return await redis.execute(subscribe, use="SUBSCRIBE")
    except Unavailable:
        return False


async def _clock(redis: RedisClient, where: str, setup: Setup) -> list[Finding]:
    try:
        seconds, microseconds = await redis.execute(lambda client: client.time(), use="TIME")
    except Unavailable:
        return []  # the rights are another finding
    return list(_skew(where, setup.machine.now() - (seconds + microseconds / 1e6)))


def _skew(where: str, ahead: float) -> Iterator[Finding]:
    if abs(ahead) > MAX_SKEW:
        seen = f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} {where}"
        yield Finding("redis.clock", seen, "timedatectl set-ntp true, on this machine and on that of Redis")
