"""Redis in use, as `--deep` sees it: rights, writes and clock, each with a real server."""

import dataclasses
import time

import pytest

from gateway.doctor import shared_store
from gateway.doctor.redis_use import COMMANDS
from tests.redis_rights import create_user, documented_rights
from tests.servers import redis_server

_OF_CONNECTIONS = {
    "client|setinfo", "cluster|slots", "command", "hello", "info", "ping", "select", "eval", "evalsha", "publish",
    "subscribe",
}  # fmt: skip


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(shared_store, "MAX_LATENCY", 1.0)  # the machine that runs the tests may be busy


@pytest.fixture
async def redis(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    async with redis_server(folder) as server:
        yield server


def test_every_documented_right_is_tried():
    documented = {word[1:] for word in documented_rights() if word.startswith("+")}
    assert {line.split()[0] for line in COMMANDS} == documented - _OF_CONNECTIONS


async def test_the_documented_user_lacks_nothing_and_nothing_stays_in_redis(healthy, redis):
    credential = await create_user(redis)
    healthy.put("gateway.redis.url", redis.url.replace("://", f"://{credential}"))
    assert await healthy.findings("redis", deep=True) == []
    assert await redis.ask("DBSIZE") == 0
    assert await redis.ask("ACL", "LOG") == []


@pytest.mark.parametrize(
    ("right", "missing"),
    [("-zadd", "zadd"), ("-subscribe", "subscribe"), ("-@scripting", "eval, evalsha"), ("resetchannels", "publish")],
)
async def test_a_missing_right_is_named_with_the_command_that_grants_it(healthy, redis, right, missing):
    credential = await create_user(redis)
    await redis.ask("ACL", "SETUSER", "gateway", right)
    healthy.put("gateway.redis.url", redis.url.replace("://", f"://{credential}"))
    (finding,) = await healthy.findings("redis", deep=True)
    assert finding.id == "redis.rights"
    assert missing in finding.seen
    assert finding.fix.startswith("redis-cli ACL SETUSER gateway ")
    await redis.ask(*finding.fix.removeprefix("redis-cli ").split())
    assert await healthy.findings("redis", deep=True) == []


async def test_a_full_redis_is_reported(healthy, redis):
    healthy.put("gateway.redis.url", redis.url)
    await redis.ask("CONFIG", "SET", "maxmemory", "1")
    (finding,) = await healthy.findings("redis", deep=True)
    assert (finding.id, "maxmemory" in finding.fix) == ("redis.no-writes", True)
    assert "OOM" in finding.seen


async def test_a_replica_is_reported(healthy, redis, tmp_path):
    folder = tmp_path / "replica"
    folder.mkdir()
    async with redis_server(folder, replicaof=f"127.0.0.1 {redis.port}") as replica:
        healthy.put("gateway.redis.url", replica.url)
        (finding,) = await healthy.findings("redis", deep=True)
    assert (finding.id, finding.fix) == (
        "redis.no-writes",
        "let gateway.redis.url name the primary instead of a replica",
    )


async def test_a_clock_that_differs_from_that_of_redis_is_reported(healthy, redis):
    healthy.put("gateway.redis.url", redis.url)
    healthy.machine = dataclasses.replace(healthy.machine, now=lambda: time.time() - 90)
    (finding,) = await healthy.findings("redis", deep=True)
    assert finding.id == "redis.clock"
    assert f"behind Redis at 127.0.0.1:{redis.port}" in finding.seen
