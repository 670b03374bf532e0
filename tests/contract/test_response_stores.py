"""The contract of all stores of responses: in memory, in SQLite, in Redis, in a cluster."""

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.core.errors import Unavailable
from gateway.core.message import Message, Text, ToolCall
from gateway.state.responses.redis import RedisResponses
from gateway.state.responses.sqlite import SqliteResponses
from gateway.state.responses.store import LARGE, Damaged, ResponsePolicy, StoredResponse, decoded, encoded
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers

POLICY = ResponsePolicy(ttl=6000, max_bytes=10_000, max_total_bytes=3_000)


def body(text):
    return b'{"status":"completed","background":false,"output":[{"text":"%s"}]}' % text


RESPONSE = StoredResponse(
    id="resp_1",
    subject="alice",
    agent="main",
    created=1.5,
    body=body(b"\\ud83d"),
    input=b"[]",
    messages=(Message("user", (Text("hi \ud83d"),)), Message("assistant", (ToolCall("c", "f", "{}"),))),
    session="agent:main:k",
    previous="resp_0",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest_asyncio.fixture(loop_scope="module")
async def store(backend, redis, tmp_path, clock):
    async with open_backend(backend, redis, tmp_path) as at:
        if backend in SHARED:
            await redis[backend].flush()
            yield RedisResponses(at, POLICY, prefix="test")
        else:
            yield SqliteResponses(at, POLICY, clock=clock)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stored_response_is_returned_unchanged(store):
    assert await store.put(RESPONSE)
    assert await store.get("alice", "resp_1") == RESPONSE


async def test_only_the_owner_gets_a_response(store):
    await store.put(RESPONSE)
    await store.put(replace(RESPONSE, id="resp_2", subject=None))
    for subject in ("bob", None, "", "owner"):
        assert await store.get(subject, "resp_1") is None
        assert not await store.delete(subject, "resp_1")
    for subject in ("alice", "", "owner"):
        assert await store.get(subject, "resp_2") is None
    assert await store.get("alice", "resp_1") == RESPONSE
    assert (await store.get(None, "resp_2")).subject is None


async def test_a_later_version_replaces_the_earlier_one(store):
    await store.put(RESPONSE)
    later = replace(RESPONSE, body=body(b"later"), messages=(), session=None, previous=None)
    await store.put(later)
    assert await store.get("alice", "resp_1") == later


async def test_a_deleted_response_is_gone(store):
    await store.put(RESPONSE)
    assert await store.delete("alice", "resp_1")
    assert await store.get("alice", "resp_1") is None
    assert not await store.delete("alice", "resp_1")


async def test_a_later_version_does_not_restore_a_deleted_response(store):
    later = replace(RESPONSE, body=body(b"later"))
    await store.put(RESPONSE)
    assert await store.put(later, new=False)
    assert await store.get("alice", "resp_1") == later
    await store.delete("alice", "resp_1")
    assert await store.put(later, new=False)
    assert await store.get("alice", "resp_1") is None
    assert not await store.put(replace(later, body=b"x" * 10_000), new=False)


async def test_put_returns_false_for_a_response_that_is_too_large(store):
    assert not await store.put(replace(RESPONSE, body=b"x" * 10_000))
    assert await store.get("alice", "resp_1") is None


async def test_many_concurrent_calls_succeed(store):
    responses = [replace(RESPONSE, id=f"resp_{number}", body=body(b"%d" % number)) for number in range(100)]
    await asyncio.gather(*map(store.put, responses))
    assert await asyncio.gather(*(store.get("alice", response.id) for response in responses)) == responses


async def test_a_response_expires(store, backend, redis, clock):
    await store.put(RESPONSE)
    if backend in SHARED:
        (key,) = await redis[backend].ask("KEYS", "*")
        assert 5_998_000 < await redis[backend].ask("PTTL", key) <= 6_000_000
    else:
        clock.now += 5999
        assert await store.get("alice", "resp_1")
        clock.now += 1
        assert await store.get("alice", "resp_1") is None
        assert not await store.delete("alice", "resp_1")


async def test_memory_is_reserved_before_a_large_response_is_read(store):
    class Refused(Exception):
        pass

    sizes = []

    def refuse(size):
        sizes.append(size)
        raise Refused

    large = replace(RESPONSE, id="resp_2", body=body(b"x" * LARGE))
    store._policy = replace(POLICY, max_bytes=2 * LARGE)
    for response in (RESPONSE, large):
        assert await store.put(response)
    assert await store.get("alice", "resp_1", refuse) == RESPONSE
    assert await store.get("bob", "resp_2", refuse) is None
    with pytest.raises(Refused):
        await store.get("alice", "resp_2", refuse)
    assert await store.get("alice", "resp_2", sizes.append) == large
    assert sizes[0] == sizes[1] == sum(map(len, (await encoded(large)).values()))


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
async def test_the_oldest_responses_are_deleted_above_the_total_limit(store, clock):
    for number in range(30):
        clock.now += 1
        await store.put(replace(RESPONSE, id=f"resp_{number}", body=body(b"x" * 440)))
    clock.now += 600  # after the first sweep, and before any response expires
    await store.put(replace(RESPONSE, id="resp_last"))
    stored = [number for number in range(30) if await store.get("alice", f"resp_{number}")]
    assert stored == list(range(30 - len(stored), 30))
    assert 1 <= len(stored) <= 5


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
async def test_a_caller_who_stores_a_lot_displaces_nobody_who_stores_less(store, clock):
    for owner in ("bob", None):
        await store.put(replace(RESPONSE, id=f"resp_{owner}", subject=owner, messages=()))
    for number in range(30):
        clock.now += 1
        await store.put(replace(RESPONSE, id=f"resp_{number}", body=body(b"x" * 440)))
    clock.now += 600
    await store.put(replace(RESPONSE, id="resp_last"))
    for owner in ("bob", None):
        assert await store.get(owner, f"resp_{owner}")
    assert await store.get("alice", "resp_0") is None
    assert await store.get("alice", "resp_29")


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_an_unreachable_redis_raises_unavailable_and_is_used_again_afterwards(store, redis, backend):
    await store.put(RESPONSE)
    redis[backend].freeze()
    try:
        with pytest.raises(Unavailable, match="not available"):
            await store.get("alice", "resp_1")
    finally:
        redis[backend].thaw()
    assert await store.get("alice", "resp_1") == RESPONSE
    await redis[backend].ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await store.get("alice", "resp_1") == RESPONSE
    await redis[backend].ask("SCRIPT", "FLUSH")
    assert await store.put(RESPONSE)


@pytest.mark.parametrize(
    "damage",
    [
        {"facts": b"{garbage"},
        {"facts": b"null"},
        {"messages": b'{"v":9}'},
        {"body": None},
        {"body": RESPONSE.body[:-2]},
        {"body": b"null"},
        {"body": b'{"status":"completed"}'},
        {"body": b"[" * 100_000},
        {"input": b"[{]"},
        {"input": b"[1]"},
    ],
)
async def test_a_damaged_response_raises_damaged(damage):
    fields = {name: value for name, value in (await encoded(RESPONSE) | damage).items() if value is not None}
    with pytest.raises(Damaged, match="can't be read"):
        await decoded("resp_1", "alice", fields)
