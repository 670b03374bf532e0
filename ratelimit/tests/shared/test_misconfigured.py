"""A configuration that retrying can't fix raises when the link is opened, or made."""

import re
import time
from pathlib import Path

import pytest
import redis
import redis.asyncio

from openclaw_ratelimit import (
    BudgetPolicy,
    ConfigurationError,
    FailureLimiter,
    Quota,
    QuotaPolicy,
    Refusal,
    ReplicationLink,
)
from openclaw_ratelimit.connection import check_version
from support.instances import PATIENT, POLICY, Instance, client, until


async def test_a_wrong_password_raises_at_open(server):
    await server.ask("CONFIG", "SET", "requirepass", "secret")
    async with client(server, password="wrong") as one:
        with pytest.raises(ConfigurationError, match=r"can't work.*(WRONGPASS|invalid)"):
            await ReplicationLink(one, name="test").open()
    async with client(server) as one:
        with pytest.raises(ConfigurationError, match=r"(?i)auth"):
            await ReplicationLink(one, name="test").open()


async def test_a_database_that_does_not_exist_raises_at_open(server):
    async with client(server, db=99) as one:
        with pytest.raises(ConfigurationError, match=r"(?i)index|database"):
            await ReplicationLink(one, name="test").open()


@pytest.mark.parametrize("missing", ["-publish", "-subscribe", "-evalsha", "resetchannels", "resetkeys"])
async def test_a_user_who_lacks_a_right_raises_at_open(server, missing):
    await server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", *missing.split())
    async with client(server, username="app", password="pw") as one:
        link = ReplicationLink(one, name="test")
        FailureLimiter(POLICY, link=link)
        with pytest.raises(ConfigurationError, match=r"can't work.*(?i:permission)"):
            await link.open()


async def test_a_user_who_lacks_a_command_of_a_script_is_reported_at_the_first_call_that_needs_it(server):
    await server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-zadd")
    async with Instance(client(server, username="app", password="pw")) as one:
        assert await one.failures("a", 3) == POLICY.max_attempts  # the lock could not be stored
        await until(lambda: len(one.changes) > 1)
        assert re.search("permission|can't run this command", one.changes[1][1])
        assert one.limiter.locked_for("a") > 0


async def test_the_documented_rights_are_enough(server):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (rights,) = re.findall(r"^ACL SETUSER (myapp .*)$", readme, re.MULTILINE)
    await server.ask("ACL", "SETUSER", *rights.split())
    async with client(server, username="myapp", password="SECRET", db=1) as one:
        now = [1_000.0]
        clocks = {"clock": lambda: now[0], "server_time": lambda: now[0]}
        link = ReplicationLink(one, name="myapp", heartbeat=0.05, **PATIENT, **clocks)
        limiter = FailureLimiter(POLICY, link=link, budget=BudgetPolicy(failures=3))
        quota = Quota([QuotaPolicy("all", "requests", 1), QuotaPolicy("runs", "runs", 1)], link=link, lease=30)
        async with link:
            assert [(await limiter.record_failure("a")).allowed for _ in range(4)] == [True, True, True, False]
            assert await limiter.unlock("a")
            assert (await limiter.record_success("a")).allowed
            async with quota.reserve({}):
                assert isinstance(await quota.reserve({}), Refusal)
                now[0] += 20  # the lease is renewed
                beats = link.beats
                await until(lambda: link.beats > beats + 1)
            await quota.reset({})
            beats = link.beats
            await until(lambda: link.beats > beats + 1)
            assert link.available, link.reason
    assert await server.ask("ACL", "LOG") == []


async def test_a_program_that_keeps_trying_starts_and_finds_redis_when_the_password_is_right(server):
    await server.ask("CONFIG", "SET", "requirepass", "secret")
    async with client(server, password="new") as one:
        link = ReplicationLink(one, name="test", max_backoff=0.05)
        await link.open(keep_trying=True)
        assert not link.available
        async with client(server, password="secret") as admin:
            await admin.config_set("requirepass", "new")
        await until(lambda: link.available)
        await link.close()


async def test_a_blocking_client_is_an_error_at_once(server):
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio\.Redis"):
        ReplicationLink(redis.Redis(port=server.port), name="test")


@pytest.mark.parametrize("name", ["", "a b", "a{b", "x" * 101, None])
async def test_a_name_that_can_be_no_hash_tag_is_an_error_at_once(server, name):
    async with client(server) as one:
        with pytest.raises(ConfigurationError, match="name must be"):
            ReplicationLink(one, name=name)


@pytest.mark.parametrize("version", [b"5.0.14", "6.0.16"])
def test_an_old_server_is_refused(version):
    with pytest.raises(ConfigurationError, match=r"6\.2 or newer"):
        check_version(version)


@pytest.mark.parametrize("version", [b"6.2.0", "7.0.15", "10.1.2", "", "v1", b"unstable"])
def test_a_newer_or_unknown_server_is_used(version):
    check_version(version)


async def test_a_reason_is_short(server):
    async with Instance("redis://127.0.0.1:1") as one:
        assert 0 < len(one.link.reason) <= 300


async def test_a_server_that_is_not_there_is_reported_at_once_with_its_reason():
    """Although redis-py's default is to try ten times with pauses."""
    async with redis.asyncio.Redis(port=1) as one:
        link = ReplicationLink(one, name="test")
        began = time.monotonic()
        async with link:
            assert "refused" in link.reason or "Connect call failed" in link.reason
            assert time.monotonic() - began < 1.5
