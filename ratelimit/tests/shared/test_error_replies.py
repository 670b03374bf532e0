"""An error reply to one call is that call's alone."""

import pytest

from openclaw_ratelimit import CallRejected, Quota, QuotaPolicy, Refusal, ReplicationLink, Reservation, Script
from support.instances import PATIENT, client, quiet, until

ALICE = {"identity": "alice"}


@pytest.fixture
def link_settings():
    return PATIENT


async def test_an_error_reply_is_its_own_calls_and_no_other(instances, server):
    one = instances[0]
    wrong = Script("return redis.call('INCR', KEYS[1])")
    await server.ask("SET", "{test}:word", "text")
    with pytest.raises(CallRejected, match="not an integer"):
        await one.link.ask(wrong, ["{test}:word"], [])
    await server.ask("SCRIPT", "FLUSH")
    assert (await one.failures("a", 9), len(one.limiter.locked())) == (3, 1)
    await quiet(*instances)


async def test_a_key_of_another_type_spoils_one_quota_and_no_other(server):
    async with client(server) as one:
        link = ReplicationLink(one, name="test", heartbeat=0.05)
        quota = Quota([QuotaPolicy("each", "requests", 2, per=("identity",))], link=link)
        async with link:
            await quota.reserve(ALICE)
            (key,) = await server.ask("KEYS", "*each*")
            await server.ask("DEL", key)
            await server.ask("LPUSH", key, "x")
            outcomes = [await quota.reserve(ALICE) for _ in range(3)]
            assert [type(outcome) for outcome in outcomes] == [Reservation, Refusal, Refusal]  # decided here
            beats = link.beats
            await until(lambda: link.beats > beats + 2)
            assert link.available
            assert isinstance(await quota.reserve({"identity": "bob"}), Reservation)
            assert len(await server.ask("KEYS", "*each*")) == 2
