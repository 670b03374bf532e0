"""Instances hear only those that share their database and name; a message of anybody else changes nothing."""

import asyncio

import pytest

from support.instances import PATIENT, POLICY, Instance, client, quiet


@pytest.fixture
def link_settings():
    return PATIENT


async def test_two_databases_of_one_redis_never_notice_each_other(server):
    base = server.url.removesuffix("/0")
    async with Instance(f"{base}/8", link=PATIENT) as one, Instance(f"{base}/9", link=PATIENT) as other:
        keys = [f"k{number}" for number in range(3_333)]
        for start in range(0, len(keys), 100):
            some = keys[start : start + 100]
            await asyncio.gather(*(one.limiter.record_failure(key) for key in some for _ in range(3)))
        await one.limiter.record_failure("the 10,000th")
        await quiet(one, other)
        assert len(one.limiter.locked()) == 3_333
        assert other.limiter.locked() == []
        assert not any(other.limiter.must_ask(key) for key in keys)


@pytest.mark.parametrize("channel", ["test", "{test}:0:events"])
@pytest.mark.parametrize(
    "message",
    [
        b"\xff", b"", b"failures", b"failures hello", b"failures x fail 1 id key", b"failures 1 fail x id key",
        b"failures 1 fail 1 id \xff", b"quota reset \xff", b"\0" * 100_000,
        b"failures 1 release 99999999999999999 x key",
    ],
)  # fmt: skip
async def test_a_foreign_message_changes_nothing(instances, server, channel, message):
    async with client(server) as foreign:
        await foreign.publish(channel, message)
    await quiet(*instances)
    assert await instances[0].failures("a", 9) == POLICY.max_attempts
