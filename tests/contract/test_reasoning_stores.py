"""The contract of all stores of reasoning: in memory, in Redis, in a cluster."""

import pytest
import pytest_asyncio

from gateway.core.errors import Unavailable
from gateway.state.reasoning.memory import MemoryReasoning
from gateway.state.reasoning.redis import RedisReasoning
from gateway.state.reasoning.store import MAX_ENTRY, RETENTION
from tests.contract.stores import SHARED, open_backend, servers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=("memory", *SHARED))
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
    if backend == "memory":
        yield MemoryReasoning(clock=clock)
        return
    async with open_backend(backend, redis, tmp_path) as at:
        await redis[backend].flush()
        yield RedisReasoning(at, prefix="test")


async def test_entries_are_found_by_their_keys_and_are_byte_equal(store):
    entries = {"a": b'{"text":"\xc3\xa9"}', "b": bytes(range(256)), "c": b""}
    await store.put("c", entries)
    assert await store.get(["c", "missing", "a", "b"]) == entries
    assert await store.get(["b"]) == {"b": entries["b"]}
    assert await store.get([]) == {}


async def test_a_later_entry_replaces_an_earlier_one(store):
    await store.put("c", {"a": b"1", "b": b"1"})
    await store.put("c", {"a": b"2"})
    assert await store.get(["a", "b"]) == {"a": b"2", "b": b"1"}


async def test_an_entry_that_is_too_large_is_not_stored_and_the_others_are(store):
    await store.put("c", {"small": b"1", "limit": b"x" * MAX_ENTRY, "large": b"x" * (MAX_ENTRY + 1)})
    assert set(await store.get(["small", "limit", "large"])) == {"small", "limit"}


async def test_an_entry_ends_after_its_retention(store, backend, redis, clock):
    await store.put("c", {"a": b"1"})
    if backend in SHARED:
        (name,) = await redis[backend].ask("KEYS", "*")
        assert name.startswith("test:")
        assert RETENTION - 60 < await redis[backend].ask("TTL", name) <= RETENTION
        await redis[backend].ask("PEXPIRE", name, 0)
    else:
        clock.now += RETENTION
        assert await store.get(["a"]) == {"a": b"1"}
        clock.now += 1
    assert await store.get(["a"]) == {}


async def test_the_memory_drops_the_oldest_entries_beyond_its_bytes(clock):
    store = MemoryReasoning(clock=clock, max_bytes=5_500)
    for number in range(50):
        await store.put("c", {str(number): b"x" * 1_000})
    assert set(await store.get([str(number) for number in range(50)])) == {"47", "48", "49"}
    await store.put("c", {"47": b"y" * 10})
    await store.put("c", {"50": b"x" * 1_500})
    assert set(await store.get([str(number) for number in range(51)])) == {"47", "49", "50"}, "47 was written anew"


async def test_a_client_that_fills_the_memory_displaces_only_its_own_entries(clock):
    store = MemoryReasoning(clock=clock, max_bytes=100_000)
    for number in range(5):
        await store.put(f"user{number}", {f"theirs{number}": b"x" * 1_000})
    for number in range(1_000):
        await store.put("greedy", {str(number): b"x" * 10_000})
    await store.put("greedy", {f"small{number}": b"" for number in range(1_000)})
    assert len(await store.get([f"theirs{number}" for number in range(5)])) == 5
    assert store._size <= 100_000


async def test_a_client_that_stores_little_displaces_those_that_store_most(clock):
    store = MemoryReasoning(clock=clock, max_bytes=10_000)
    await store.put("large", {"old": b"x" * 5_000, "new": b"x" * 3_000})
    await store.put("small", {"a": b"x" * 1_000})
    assert set(await store.get(["old", "new", "a"])) == {"new", "a"}


async def test_the_memory_forgets_clients_whose_entries_have_ended(clock):
    store = MemoryReasoning(clock=clock)
    for number in range(100):
        await store.put(f"user{number}", {str(number): b"x"})
    clock.now += RETENTION + 1
    await store.put("c", {"c": b"1"})
    assert (list(store._keys), list(store._sizes)) == (["c"], ["c"])


async def test_the_memory_does_not_keep_what_has_ended(clock):
    store = MemoryReasoning(clock=clock)
    await store.put("c", {"a": b"1", "b": b"1"})
    clock.now += RETENTION + 1
    await store.put("c", {"c": b"1"})
    assert list(store._entries) == ["c"]


async def test_many_small_entries_are_bounded_too(clock):
    store = MemoryReasoning(clock=clock, max_bytes=100_000)
    await store.put("c", {f"{number:064}": b"" for number in range(10_000)})
    assert len(store._entries) <= 250


@pytest.mark.parametrize("backend", ["redis"], indirect=True)
async def test_a_redis_that_is_away_is_unavailable(store, redis):
    await store.put("c", {"a": b"1"})
    await redis["redis"].stop()
    try:
        with pytest.raises(Unavailable):
            await store.put("c", {"b": b"1"})
        with pytest.raises(Unavailable):
            await store.get(["a"])
    finally:
        await redis["redis"].start()
