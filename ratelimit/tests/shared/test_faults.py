"""What went wrong once over one Redis, each the whole kind of it."""

import asyncio
import multiprocessing
import os
import threading
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
import redis
import redis.asyncio

from openclaw_ratelimit import (
    CallRejected,
    ConfigurationError,
    EventKind,
    FailureLimiter,
    Quota,
    QuotaPolicy,
    Refusal,
    ReplicationLink,
    Reservation,
    Script,
    UsageError,
)
from openclaw_ratelimit.connection import check_version
from support.instances import NEVER, POLICY, Instance, until
from support.slow import hop

ALICE = {"identity": "alice"}
PATIENT = {"max_wait": 5.0}  # this machine may be busy, and these tests are not about that


@pytest_asyncio.fixture
async def instances(server):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Instance(server.url, link=PATIENT)) for _ in range(3)]


def client(server, **settings):
    return redis.asyncio.Redis(port=server.port, retry=NEVER, **settings)


async def quiet(*instances):
    """The links have stayed open all the time, over several heartbeats."""
    beats = [one.link.beats for one in instances]
    await until(lambda: all(one.link.beats > before + 2 for one, before in zip(instances, beats, strict=True)))
    assert [one.changes for one in instances] == [[(True, "")]] * len(instances)


# 1, 8: one channel per name and database; nobody else's messages


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
    async with client(server) as stranger:
        await stranger.publish(channel, message)
    await quiet(*instances)
    assert await instances[0].failures("a", 9) == POLICY.max_attempts


# 2: keys


@pytest.mark.parametrize(
    "key", ["\udcff", b"\xff\x00", "ä" * 300, "x" * 20_000_000, "", " ", "a\nb", "{}", "\0", "§", b"\xf0\x9f\x94\x92"]
)
async def test_any_key_is_counted_exactly_and_hurts_nobody(instances, key):
    allowed = sum([await one.failures(key, 3) for one in instances])
    assert allowed == POLICY.max_attempts
    await until(lambda: all(one.limiter.locked_for(key) for one in instances))
    await quiet(*instances)
    (lock,) = instances[1].limiter.locked()
    assert len(lock.key.encode()) <= 256
    assert await instances[2].limiter.unlock(lock.key)
    assert sum([await one.failures("ordinary", 3) for one in instances]) == POLICY.max_attempts


# 4: event loops, threads, processes


def opened_and_left(url):
    """An instance whose event loop has ended without its being closed."""
    made = Instance(url)
    asyncio.run(made.link.open())
    return made


async def fail_in_time(instance):
    async with asyncio.timeout(1):
        await instance.limiter.record_failure("a")


async def test_a_second_event_loop_is_an_error_at_once(server):
    one = await asyncio.to_thread(opened_and_left, server.url)
    assert not one.link.available
    with pytest.raises(UsageError, match="another event loop"):
        await fail_in_time(one)


async def test_another_threads_event_loop_is_an_error_at_once(instances):
    def elsewhere():
        asyncio.run(fail_in_time(instances[0]))

    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(elsewhere)
    assert await instances[0].failures("a", 9) == POLICY.max_attempts


def in_child(instance, pipe):
    try:
        asyncio.run(fail_in_time(instance))
    except UsageError as error:
        pipe.send(str(error))
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_fork_is_an_error_at_once(instances):
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(instances[0], there))
    threading.Thread(target=child.start).start()
    assert await asyncio.to_thread(here.poll, 10)
    assert "another event loop" in here.recv()
    await asyncio.to_thread(child.join)
    await quiet(*instances)


# 5: opening and closing


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


# 6: listeners


async def test_a_listener_that_raises_is_logged_and_ends_nothing(server, caplog):
    def broken(event):
        raise ZeroDivisionError(event.kind)

    async with client(server) as one:
        link = ReplicationLink(one, name="test", on_event=broken, max_backoff=0.05)
        limiter = FailureLimiter(POLICY, link=link, on_event=broken)
        async with link:
            assert [(await limiter.record_failure("a")).allowed for _ in range(4)] == [True, True, True, False]
            await server.restart()
            await until(lambda: not link.available or limiter.locked_for("a"))
            await until(lambda: link.available)
    assert "ZeroDivisionError" in caplog.text


# 7: error replies


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


# a configuration that can't work


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


@pytest.mark.parametrize("missing", ["-publish", "-subscribe", "-evalsha", "resetchannels"])
async def test_a_user_who_lacks_a_right_raises_at_open(server, missing):
    await server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", *missing.split())
    async with client(server, username="app", password="pw") as one:
        link = ReplicationLink(one, name="test")
        FailureLimiter(POLICY, link=link)
        if missing == "-publish":  # shows at the first failure
            await link.open()
            assert (await FailureLimiter(POLICY).record_failure("a")).allowed
            await link.close()
            return
        with pytest.raises(ConfigurationError, match="can't work"):
            await link.open()


async def test_the_documented_rights_are_enough(server):
    rights = "~{test}:* resetchannels &{test}:*:events -@all +hello +ping +subscribe +publish +evalsha +eval"
    data = "+get +set +del +expire +pexpire +ttl +time +hget +hset +hsetnx +hdel +hexists +hlen +hscan +hincrby"
    sets = "+zadd +zrem +zcard +zcount +zscore +zrank +zrange +zrangebyscore +zpopmin +zscan"
    ranges = "+zremrangebyscore +zremrangebyrank"
    words = f"{rights} {data} {sets} {ranges}".split()
    await server.ask("ACL", "SETUSER", "app", "on", ">pw", *words)
    async with client(server, username="app", password="pw") as one:
        link = ReplicationLink(one, name="test", heartbeat=0.05)
        limiter = FailureLimiter(POLICY, link=link)
        quota = Quota([QuotaPolicy("all", "requests", 1), QuotaPolicy("runs", "runs", 1)], link=link)
        async with link:
            assert [(await limiter.record_failure("a")).allowed for _ in range(4)] == [True, True, True, False]
            assert await limiter.unlock("a")
            assert (await limiter.record_success("a")).allowed
            async with quota.reserve({}):
                assert isinstance(await quota.reserve({}), Refusal)
            await quota.reset({})
            beats = link.beats
            await until(lambda: link.beats > beats + 1)
            assert link.available, link.reason


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


# operators


async def test_an_unlock_reaches_every_instance_within_a_second(instances):
    await instances[0].failures("a", 3)
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))
    assert await instances[1].limiter.unlock("a")
    await until(lambda: not any(one.limiter.must_ask("a") for one in instances), 1.0)
    assert sum([await one.failures("a", 3) for one in instances]) == POLICY.max_attempts


async def test_an_unlock_without_redis_holds_at_once_here_and_everywhere_when_it_is_back(instances, server):
    await instances[0].failures("a", 3)
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))
    await server.stop()
    await until(lambda: not any(one.link.available for one in instances))
    assert await instances[1].limiter.unlock("a")
    assert not instances[1].limiter.must_ask("a")
    await server.start()
    await until(lambda: all(one.link.available for one in instances))
    await until(lambda: not any(one.limiter.locked_for("a") for one in instances), 1.0)
    assert instances[0].limiter.locked() == []


async def test_an_unlock_survives_an_instance_that_was_away_with_the_lock(server):
    async with (
        hop(server.port) as network,
        Instance(server.url) as near,
        Instance(f"redis://127.0.0.1:{network.port}") as far,
    ):
        await near.failures("a", 3)
        await until(lambda: far.limiter.locked_for("a"))
        network.delay = 0.5
        await far.limiter.record_failure("b")
        await until(lambda: not far.link.available)
        assert await near.limiter.unlock("a")
        assert far.limiter.locked_for("a")
        network.delay = 0.0
        await until(lambda: far.link.available and not far.limiter.locked_for("a"))
        assert not near.limiter.locked_for("a")


async def test_a_lock_that_is_earned_after_an_unlock_holds_to_its_end(server):
    time = [1_000.0]
    clocks = {"clock": lambda: time[0], "server_time": lambda: time[0], "heartbeat": 3_600.0}
    async with Instance(server.url, link=PATIENT | clocks) as one, Instance(server.url, link=PATIENT | clocks) as other:
        await one.failures("a", 3)
        assert await one.limiter.unlock("a")  # releases all locks that end within 300 s
        time[0] += 200.0
        assert await one.failures("a", 3) == POLICY.max_attempts
        time[0] += 150.0  # what was released is over, this lock is not
        await other.failures("b", 1)
        assert await server.ask("ZSCORE", "{test}:failures:locks", "a") is not None
        assert other.limiter.locked_for("a") == pytest.approx(150.0, abs=0.01)


async def test_failures_are_listed_at_every_instance(instances):
    await instances[0].failures("a", 2)
    await until(lambda: all(one.limiter.failures("a") == 2 for one in instances))


async def test_a_reset_reaches_every_instance(server):
    policy = QuotaPolicy("each", "requests", 2, per=("identity",))
    async with client(server) as one, client(server) as two:
        links = [ReplicationLink(each, name="test", heartbeat=0.05) for each in (one, two)]
        quotas = [Quota([policy], link=link) for link in links]
        async with links[0], links[1]:
            assert [type(await quotas[0].reserve(ALICE)) for _ in range(3)] == [Reservation, Reservation, Refusal]
            await quotas[1].reset(ALICE)
            assert [type(await quotas[0].reserve(ALICE)) for _ in range(3)] == [Reservation, Reservation, Refusal]
            await server.stop()
            await until(lambda: not links[0].available and not links[1].available)
            assert isinstance(await quotas[0].reserve(ALICE), Refusal)
            await quotas[0].reset(ALICE)
            assert isinstance(await quotas[0].reserve(ALICE), Reservation)


async def test_events_tell_what_happens(server):
    events = []
    async with client(server) as one:
        link = ReplicationLink(one, name="test", on_event=events.append)
        limiter = FailureLimiter(POLICY, link=link, on_event=events.append)
        async with link:
            for _ in range(4):
                await limiter.record_failure("a")
            await limiter.unlock("a")
            await server.stop()
            await until(lambda: not link.available)
    kinds = [event.kind for event in events]
    failure = EventKind.FAILURE
    assert kinds == [
        EventKind.BACK, failure, failure, failure,
        EventKind.LOCKED, EventKind.REFUSED, EventKind.RELEASED, EventKind.AWAY,
    ]  # fmt: skip
    assert events[4] == (EventKind.LOCKED, "failures", "a", 300.0, "")
