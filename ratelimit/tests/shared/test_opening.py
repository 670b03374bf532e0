"""The order of making, opening and closing: a wrong one is an error at once."""

import asyncio

import pytest

from openclaw_ratelimit import BudgetPolicy, FailureLimiter, Quota, QuotaPolicy, ReplicationLink, UsageError
from support.instances import PATIENT, POLICY, Instance, client

ALICE = {"identity": "alice"}


@pytest.fixture
def link_settings():
    return PATIENT


async def test_a_link_is_opened_once_and_not_after_its_end(server):
    async with client(server) as one:
        link = ReplicationLink(one, name="test")
        await link.close()
        with pytest.raises(UsageError, match="make a new one"):
            await link.open()
        async with ReplicationLink(one, name="test") as link:
            with pytest.raises(UsageError, match="make a new one"):
                await link.open()
        with pytest.raises(UsageError, match="make a new one"):
            await link.open()


async def test_a_link_that_was_never_opened_is_an_error_at_once(server):
    one = Instance(server.url)
    with pytest.raises(UsageError, match="is not open"):
        await one.limiter.record_failure("a")
    with pytest.raises(UsageError, match="is not open"):
        await one.limiter.record_success("a")


async def test_a_quota_of_a_link_that_was_never_opened_is_an_error_at_once(server):
    async with client(server) as one:
        quota = Quota([QuotaPolicy("all", "requests", 1)], link=ReplicationLink(one, name="test"))
        with pytest.raises(UsageError, match="is not open"):
            await quota.reserve(ALICE)


async def test_what_is_made_after_the_link_was_opened_is_an_error_at_once(instances):
    with pytest.raises(UsageError, match="before it is opened"):
        FailureLimiter(POLICY, link=instances[0].link, kind="late")
    with pytest.raises(UsageError, match="before it is opened"):
        Quota([], link=instances[0].link)


async def test_two_limiters_or_quotas_of_one_kind_on_a_link_are_an_error_at_once(server):
    async with client(server) as one:
        link = ReplicationLink(one, name="test")
        FailureLimiter(POLICY, link=link)
        FailureLimiter(POLICY, link=link, kind="per-user")
        Quota([], link=link)
        with pytest.raises(UsageError, match="another `kind`"):
            FailureLimiter(POLICY, link=link)
        with pytest.raises(UsageError, match="another `kind`"):
            Quota([], link=link)


async def test_limiters_of_two_kinds_count_apart(server):
    async with client(server) as one:
        link = ReplicationLink(one, name="test")
        addresses, users = FailureLimiter(POLICY, link=link), FailureLimiter(POLICY, link=link, kind="users")
        async with link:
            for _ in range(3):
                await addresses.record_failure("a")
            assert addresses.locked_for("a")
            assert not users.must_ask("a")
            assert (await users.record_failure("a")).remaining == 2


async def test_opening_that_is_cancelled_leaves_no_task_behind(server):
    server.freeze()
    async with client(server) as one:
        link = ReplicationLink(one, name="test")
        before = asyncio.all_tasks()
        opening = asyncio.create_task(link.open())
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert asyncio.all_tasks() == before
    server.thaw()


async def test_taking_a_success_outside_of_the_event_loop_is_an_error_at_once(server):
    async with client(server) as one:
        link = ReplicationLink(one, name="test", **PATIENT)
        limiter = FailureLimiter(POLICY, link=link, budget=BudgetPolicy())
        async with link:
            with pytest.raises(UsageError, match="another event loop"):
                await asyncio.to_thread(limiter.succeed_now, "a")
