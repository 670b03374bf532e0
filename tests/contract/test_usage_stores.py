"""The contract of all stores of the ledger: in memory, in SQLite, in Redis, in a cluster."""

import pytest
import pytest_asyncio

from gateway.core.errors import Unavailable
from gateway.state.usage.redis import RedisUsage
from gateway.state.usage.sqlite import SqliteUsage
from gateway.state.usage.store import Segment, UsagePolicy
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers

DAY = 86_400.0
POLICY = UsagePolicy(retention=10 * DAY, max_bytes=10_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


class Clock:
    now = 100 * DAY + 3600.0

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
            yield RedisUsage(at, POLICY, prefix="test", clock=clock)
        else:
            yield SqliteUsage(at, POLICY, clock=clock)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(store, since=0.0):
    return [data async for page in store.read(since) for data in page]


async def test_segments_are_read_in_the_order_in_which_they_were_written(store, clock):
    for number in range(5):
        await store.append(Segment(f"id-{number}", clock.now + number, b"%d" % number))
    assert await read(store) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_segment_that_is_appended_again_is_stored_once(store, clock):
    segment = Segment("id", clock.now, b"rows")
    await store.append(segment)
    await store.append(segment)
    assert await read(store) == [b"rows"]


async def test_equal_data_of_two_segments_are_two_segments(store, clock):
    await store.append(Segment("id-1", clock.now, b"rows"))
    await store.append(Segment("id-2", clock.now, b"rows"))
    assert await read(store) == [b"rows", b"rows"]


async def test_only_what_was_written_since_a_time_is_read(store, clock):
    for number in (1, 2, 3):
        await store.append(Segment(f"id-{number}", clock.now + number, b"%d" % number))
    assert await read(store, clock.now + 2) == [b"2", b"3"]


async def test_all_pages_over_several_days_are_read(store, clock):
    expected = []
    for number in range(300):
        expected.append(b"%d" % number)
        await store.append(Segment(f"{number:03}", clock.now - 3 * DAY + number * 864.0, expected[-1]))
    assert await read(store) == expected


async def test_bytes_of_any_kind_are_returned_unchanged(store, clock):
    data = bytes(range(256)) * 4
    await store.append(Segment("id", clock.now, data))
    assert await read(store) == [data]


async def test_what_is_older_than_the_retention_is_not_read(store, clock):
    await store.append(Segment("old", clock.now, b"old"))
    clock.now += 9 * DAY
    assert await read(store) == [b"old"]
    clock.now += 2 * DAY
    assert await read(store) == []


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_day_expires_in_redis_after_the_retention(store, redis, backend, clock):
    await store.append(Segment("id", clock.now, b"rows"))
    (key,) = await redis[backend].ask("KEYS", "*")
    assert 11 * DAY - 10 < await redis[backend].ask("TTL", key) <= 11 * DAY


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
async def test_the_oldest_segments_are_deleted_after_the_retention_and_above_the_size(store, clock):
    await store.append(Segment("old", clock.now - 11 * DAY, b"old"))
    for number in range(30):
        await store.append(Segment(f"{number:02}", clock.now + number, b"%02d" % number * 500))
    clock.now += 700  # after the first sweep
    await store.append(Segment("last", clock.now, b"last"))
    numbers = [data[:2] for data in await read(store)]
    assert numbers == [b"%02d" % number for number in range(21, 30)] + [b"la"]


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_an_unreachable_redis_raises_unavailable_and_is_used_again_afterwards(store, redis, backend, clock):
    redis[backend].freeze()
    try:
        with pytest.raises(Unavailable, match="not available"):
            await store.append(Segment("id", clock.now, b"rows"))
        with pytest.raises(Unavailable, match="not available"):
            await read(store)
    finally:
        redis[backend].thaw()
    await store.append(Segment("id", clock.now, b"rows"))
    assert await read(store) == [b"rows"]
