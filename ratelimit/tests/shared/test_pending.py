"""Both sides exchange what they know exactly once, whatever cuts it off or overtakes it."""

import asyncio
from collections import Counter

import pytest
import redis.asyncio

from openclaw_ratelimit import LockoutPolicy, QuotaPolicy, ReplicationLink, StorageUnavailable
from openclaw_ratelimit.failure_replica import FailureReplica
from openclaw_ratelimit.quota_policy import shares_of
from openclaw_ratelimit.quota_shared import SharedQuota
from openclaw_ratelimit.records import Records

EACH = QuotaPolicy("each", "requests", 100, per=("identity",))


class Storage:
    """Counts what it is sent; the call with the number `fails` raises this error before it is counted."""

    def __init__(self, fails, error):
        self.counted, self.fails, self.error = Counter(), fails, error

    async def ask(self, _script, keys, words):
        self.fails -= 1
        if self.fails == 0:
            raise self.error
        for index, key in enumerate(keys[2:]):  # after those of the clock and the index
            self.counted[key] += words[4 + 3 * index]


@pytest.mark.parametrize("error", [StorageUnavailable("away"), asyncio.CancelledError()], ids=["away", "cancelled"])
@pytest.mark.parametrize("fails", [1, 2, 3])
async def test_counts_of_pages_that_were_sent_are_not_sent_again(fails, error):
    async with redis.asyncio.Redis() as client:
        link = ReplicationLink(client, name="test")
        shared = SharedQuota(link, kind="quota", lease=30, capacity=1_000, abandoned=bool, was_reset=bool)
        shares = [share for number in range(250) for share in shares_of([EACH], (("identity", str(number)),))]
        shared.defer(shares, [2] * 250)
        storage = Storage(fails, error)
        with pytest.raises(type(error)):
            await shared.catch_up(storage.ask)
        assert shared.behind
        await shared.catch_up(storage.ask)
        assert not shared.behind
        assert len(storage.counted) == 250
        assert set(storage.counted.values()) == {2}


async def test_a_success_that_is_heard_before_a_page_that_is_older_is_not_undone_by_it():
    """Messages and answers come over two connections, in any order."""
    async with redis.asyncio.Redis() as client:
        link = ReplicationLink(client, name="test")
        records = Records(LockoutPolicy(), clock=link.clock, capacity=100, shared=True)
        replica = FailureReplica(link, LockoutPolicy(), records, None, kind="failures", capacity=100)
        now = round(link.clock() * 1000)

        async def ask(_script, _keys, words):
            if words[0] == "beat":
                return b"id", 1
            await replica.hear(f"failures 1 clear {now} - a".encode())
            return b"end", [[b"fail", str(now - 1), b"x-1", b"a"], [b"fail", str(now + 1), b"x-2", b"a"]]

        await replica.join(ask)
        assert records.failures("a") == 1
