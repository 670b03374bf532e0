"""A Redis that is nearly full keeps room for limits and locks, and a full or refusing one is a problem of the store."""

import asyncio

import pytest
import pytest_asyncio

from gateway.config.redis_url import parse_redis_url
from gateway.core.errors import Unavailable
from gateway.core.session_key import parse_session_key
from gateway.state.events.redis import RedisEvents
from gateway.state.events.store import EventPolicy
from gateway.state.health import StoreHealth
from gateway.state.keys.redis import RedisKeys
from gateway.state.redis_client import open_redis
from gateway.state.redis_room import CONVERSATIONS, RESPONSES, RedisRoom
from gateway.state.responses.redis import RedisResponses
from gateway.state.responses.store import ResponsePolicy, StoredResponse
from gateway.state.script import Script
from gateway.state.sessions.redis import RedisSessions
from gateway.state.sessions.store import SessionPolicy
from tests.servers import redis_server

MAX = 24 * 2**20
KEY = parse_session_key("agent:main:openai-user:u")
COUNT = Script("return redis.call('INCR', KEYS[1])")


@pytest_asyncio.fixture
async def redis(tmp_path):
    async with redis_server(tmp_path, maxmemory=str(MAX), maxmemory_policy="noeviction") as started:
        yield started


@pytest_asyncio.fixture
async def client(redis):
    async with open_redis(parse_redis_url(redis.url)) as ready:
        yield ready


def response(number):
    return StoredResponse(f"resp_{number}", None, "main", 1.0, b'"' + b"x" * 2**20 + b'"', b"[]")


async def used(redis):
    return int((await redis.ask("INFO", "memory"))["used_memory"])


async def now_due(client):
    """As after a second."""
    client.room._due = 0.0
    client.room.check(0, 1.0)
    await client.room.close()


async def test_a_write_that_redis_gets_after_a_look_counts_all_the_same(client):
    """The look and the write have connections of their own, so either may come first."""
    with client.room.reserve(0, 1.0):
        await client.room.close()  # the first look, which learns the limit
    with client.room.reserve(int(MAX * 0.4), RESPONSES):
        await now_due(client)
        with pytest.raises(Unavailable, match="nearly full"):
            client.room.check(int(MAX * 0.2), RESPONSES)
    with pytest.raises(Unavailable, match="nearly full"):
        client.room.check(int(MAX * 0.2), RESPONSES)
    await now_due(client)
    client.room.check(int(MAX * 0.2), RESPONSES)


async def until_refused(store):
    """Store something again and again; `store` gets the number. Returns the number and the text of the refusal."""
    for number in range(100):
        try:
            await store(number)
        except Unavailable as error:
            return number, error.message
    raise AssertionError("nothing was refused")


async def test_responses_leave_room_for_conversations_and_these_for_limits(client, redis):
    responses = RedisResponses(client, ResponsePolicy(), prefix="test")
    stored, reason = await until_refused(lambda number: responses.put(response(number)))
    assert stored > 3
    assert "nearly full" in reason
    responses_used = await used(redis)
    assert responses_used < MAX * 0.7
    assert "nearly full" in client.health.problem
    sessions = RedisSessions(client, SessionPolicy(max_bytes=2**30), prefix="test")

    async def one_turn(_number):
        lease = await sessions.acquire(KEY, 1)
        try:
            await sessions.append(lease, b"x" * 2**19)
        finally:
            await sessions.release(lease)

    _, reason = await until_refused(one_turn)
    assert "nearly full" in reason
    assert responses_used + 2**20 < await used(redis) < MAX * 0.9
    assert await client.run_script(COUNT, ["a-limit"]) == 1
    facts, entries = await sessions.read(KEY)
    assert len(entries) > 3
    assert (await sessions.list_sessions(None, everybody=True, limit=5)).sessions == (facts,)
    assert await sessions.delete(KEY)
    for index in range(stored):
        await responses.delete(None, f"resp_{index}")
    await now_due(client)
    await responses.put(response(0))
    lease = await sessions.acquire(KEY, 1)
    await sessions.append(lease, b"x")
    assert client.health.problem is None
    await sessions.close()


async def test_a_turn_is_refused_before_an_answer_is_paid_for_that_could_not_be_stored(client, redis):
    sessions = RedisSessions(client, SessionPolicy(), prefix="test")
    await redis.ask("CONFIG", "SET", "maxmemory", int(await used(redis) * 1.1))
    await now_due(client)
    with pytest.raises(Unavailable, match="nearly full"):
        await sessions.acquire(KEY, 1)
    await sessions.close()


async def test_events_of_runs_have_the_room_of_responses(client, redis):
    log = RedisEvents(client, EventPolicy(), prefix="test")
    await log.begin("r")
    number, reason = await until_refused(lambda number: log.add("r", number, [b"x" * 2**20]))
    assert "nearly full" in reason
    assert await used(redis) < MAX * 0.7
    assert await log.add("r", number, [b"end"], last=True) == "held", "a run can always end"


async def test_a_redis_that_evicts_is_not_watched(client, redis):
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    responses = RedisResponses(client, ResponsePolicy(), prefix="test")
    for number in range(40):
        await responses.put(response(number))
    assert client.health.problem is None


@pytest.mark.parametrize("has_been_listed", [True, False])
async def test_the_conversations_of_a_full_redis_can_be_listed_and_deleted(client, redis, has_been_listed):
    sessions = RedisSessions(client, SessionPolicy(), prefix="test")
    await sessions.append(await sessions.acquire(KEY, 1), b"1")
    if has_been_listed:
        await sessions.list_sessions(None, everybody=True, limit=5)
    await redis.ask("CONFIG", "SET", "maxmemory", 1)
    (facts,) = (await sessions.list_sessions(None, everybody=True, limit=5)).sessions
    assert facts.key == KEY
    assert await sessions.delete(KEY)
    assert (await sessions.list_sessions(None, everybody=True, limit=5)).sessions == ()
    await sessions.close()


async def test_the_keys_are_scanned_for_the_first_list_of_a_day_only(client, redis):
    """A scan reads all keys of the Redis, also those of other applications."""
    sessions = RedisSessions(client, SessionPolicy(), prefix="test")
    await sessions.append(await sessions.acquire(KEY, 1), b"1")

    async def scans():
        return (await redis.ask("INFO", "commandstats")).get("cmdstat_scan", {"calls": 0})["calls"]

    counts = []
    for _ in range(3):
        assert len((await sessions.list_sessions(None, everybody=True, limit=5)).sessions) == 1
        counts.append(await scans())
    assert counts == [counts[0]] * 3
    assert counts[0] > 0
    await sessions.close()


async def test_a_full_redis_is_a_problem_until_the_same_use_succeeds(client, redis):
    fill_up = Script("return redis.call('SET', KEYS[1], string.rep('x', tonumber(ARGV[1])))")
    _, reason = await until_refused(lambda number: client.run_script(fill_up, [f"key-{number}"], [2**20]))
    assert "not available" in reason
    assert "Try again" not in reason
    await client.check()
    assert client.health.problem == reason, "a sign of life is no proof of room"
    await redis.flush()
    await client.run_script(fill_up, ["key"], [2**20])
    assert client.health.problem is None


async def test_a_redis_that_has_room_again_is_no_problem_although_nobody_stores_what_was_refused(client, redis):
    for number in range(15):  # 0.63 of it
        await redis.ask("SET", f"other-{number}", "x" * 2**20)
    await now_due(client)
    with pytest.raises(Unavailable, match="nearly full"):
        client.room.check(2**10, RESPONSES)
    client.room.check(2**10, CONVERSATIONS)
    await now_due(client)
    assert client.health.problem is not None, "it is still full for responses"
    await redis.flush()
    await now_due(client)
    client.room.check(2**10, CONVERSATIONS)
    assert client.health.problem is None


async def test_a_key_of_another_type_is_named_as_that(client, redis):
    await redis.ask("SET", "{test}:client-keys", "1")
    keys = RedisKeys(client, prefix="test")
    with pytest.raises(Unavailable, match="has the type of other data"):
        await keys.read(["phone"])
    assert "gateway's data" not in client.health.problem
    await redis.ask("DEL", "{test}:client-keys")
    assert await keys.read(["phone"]) == []
    assert client.health.problem is None


async def test_after_a_failover_one_write_shows_that_all_are_possible_again(client, redis):
    """An operation that was refused then, such as making a key, may never be asked for again."""
    make_key = Script("return redis.call('SET', KEYS[1], 'x')")
    await redis.ask("REPLICAOF", "127.0.0.1", "1")
    for script in (COUNT, make_key):
        with pytest.raises(Unavailable):
            await client.run_script(script, ["k"])
    await client.check()
    assert client.health.problem is not None, "reading shows nothing about writing"
    await redis.ask("REPLICAOF", "NO", "ONE")
    assert client.health.problem is not None
    await client.run_script(COUNT, ["k"])
    assert client.health.problem is None


async def test_a_redis_that_is_away_is_a_problem_until_it_answers(client, redis):
    await client.check()
    await redis.stop()
    with pytest.raises(Unavailable, match="Try again"):
        await client.check()
    assert client.health.problem is not None
    await redis.start()
    await client.run_script(COUNT, ["k"])
    assert client.health.problem is None


async def test_a_user_without_the_right_to_ask_for_the_memory_stores_all_the_same(client, redis):
    await redis.ask("ACL", "SETUSER", "default", "-info")
    client.room.check(0, 1.0)
    (looking,) = [task for task in asyncio.all_tasks() if task.get_name() == "look at Redis's memory"]
    await client.room.close()
    assert looking.exception() is None
    assert client.health.problem is not None
    responses = RedisResponses(client, ResponsePolicy(), prefix="test")
    assert await responses.put(response(1))


async def test_a_client_closes_after_its_last_look_at_the_memory(redis):
    async with open_redis(parse_redis_url(redis.url)) as client:
        client.room.check(1, 1.0)  # begins a look
    assert not {"look at Redis's memory", "call Redis"} & {task.get_name() for task in asyncio.all_tasks()}


async def _says_no_limit(_call, *, use):
    """What a server answers that knows no limit, such as a compatible one."""
    return {"used_memory": 1} if use == "INFO" else {}


async def test_a_server_that_names_no_limit_has_none():
    room = RedisRoom(_says_no_limit, StoreHealth())
    room.check(1, 0.0)
    (looking,) = [task for task in asyncio.all_tasks() if task.get_name() == "look at Redis's memory"]
    await room.close()
    assert looking.exception() is None
    room.check(2**40, 0.0)
