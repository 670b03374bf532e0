"""What Redis stores is bounded, as in a process."""

import pytest

from openclaw_ratelimit import LockoutPolicy, Quota, QuotaPolicy, Refusal, ReplicationLink, Reservation
from support.instances import PATIENT, Instance, client

EACH = QuotaPolicy("each", "requests", 2, per=("identity",))


async def test_nobody_gets_a_fresh_quota_by_filling_the_table_in_redis_under_other_names(server):
    async with client(server) as one, client(server) as two:
        links = [ReplicationLink(each, name="test", **PATIENT) for each in (one, two)]
        quotas = [Quota([EACH], link=link, capacity=100) for link in links]
        async with links[0], links[1]:
            spent = [await quotas[0].reserve({"identity": "alice"}) for _ in range(3)]
            assert [type(outcome) for outcome in spent] == [Reservation, Reservation, Refusal]
            others = [await quotas[number % 2].reserve({"identity": str(number)}) for number in range(2_000)]
            assert sum(isinstance(outcome, Reservation) for outcome in others) == 99 + 2  # the rest share one quota
            assert [type(await quota.reserve({"identity": "alice"})) for quota in quotas] == [Refusal] * 2
            assert await server.ask("ZCARD", "{test}:quota-index") == 100 + 1
            assert len(await server.ask("KEYS", "{test}:quota:*")) == 100 + 1


async def test_a_table_in_redis_that_is_full_of_locks_refuses_new_keys_until_one_is_released(server):
    once = LockoutPolicy(max_attempts=1, lockout=300.0)
    async with (
        Instance(server.url, policy=once, capacity=2, link=PATIENT) as one,
        Instance(server.url, policy=once, capacity=2, link=PATIENT) as other,
    ):
        assert [await one.failures(key, 1) for key in "ab"] == [1, 1]
        verdict = await other.limiter.record_failure("c")
        assert (verdict.allowed, verdict.retry_after) == (False, pytest.approx(300.0, abs=1.0))
        assert {lock.key for lock in one.limiter.locked()} == {"a", "b"}, "no lock makes room"
        assert await one.limiter.unlock("a")
        assert await other.failures("c", 1) == 1
