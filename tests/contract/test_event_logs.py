"""The contract of all stores of background runs' events: in memory, in SQLite, in Redis, in a cluster."""

import pytest
import pytest_asyncio

from gateway.state.events.redis import RedisEvents
from gateway.state.events.sqlite import SqliteEvents
from gateway.state.events.store import PAGE, PAGE_BYTES, EventPage, EventPolicy
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=BACKENDS)
async def backend(request, redis, tmp_path):
    """A log with a lease of 9 s and 6 s of grace, and a function that advances its time."""
    clock = Clock()
    if request.param in SHARED:
        async with open_backend(request.param, redis, tmp_path) as link:
            client = link._client
            log = RedisEvents(link, EventPolicy(), prefix=request.node.name, monotonic=clock)

            async def pass_time(seconds, *, steps=False):
                clock.now += 0 if steps else seconds
                for key in log._keys("r"):
                    left = await client.pttl(key)
                    if left > 0 and seconds < 0:
                        await client.pexpire(key, left - int(seconds * 1000))
                    elif left > 0:
                        await client.pexpire(key, max(1, left - int(seconds * 1000)))
                        while seconds * 1000 >= left and await client.exists(key):
                            pass

            yield log, pass_time
    else:
        wall = Clock()
        async with open_backend(request.param, redis, tmp_path) as database:

            async def pass_time(seconds, *, steps=False):
                wall.now += seconds
                clock.now += 0 if steps else seconds

            yield SqliteEvents(database, EventPolicy(), clock=wall, monotonic=clock), pass_time


async def test_events_can_be_read_from_any_number(backend):
    log, _ = backend
    await log.begin("r")
    assert await log.read("r", 0) == EventPage((), True)
    assert await log.add("r", 0, [b"a", b"b"]) == "held"
    assert await log.add("r", 2, [b"c"]) == "held"
    assert await log.read("r", 0) == EventPage((b"a", b"b", b"c"), True)
    assert await log.read("r", 2) == EventPage((b"c",), True)
    assert await log.read("r", 3) == EventPage((), True)
    assert await log.read("r", -1) == EventPage((b"c",), True)
    assert await log.read("other", 0) == EventPage((), False)


async def test_a_repeated_call_adds_no_event_twice(backend):
    log, _ = backend
    await log.begin("r")
    for _ in range(2):
        assert await log.add("r", 0, [b"a", b"b"]) == "held"
    for _ in range(2):
        assert await log.add("r", 2, [b"c"], last=True) == "held"
    assert await log.read("r", 0) == EventPage((b"a", b"b", b"c"), False)


async def test_many_events_are_added_at_once(backend):
    log, _ = backend
    await log.begin("r")
    events = [str(number).encode() for number in range(1700)]
    assert await log.add("r", 0, events, last=True) == "held"
    assert await log.read("r", 0) == EventPage(tuple(events[:PAGE]), False)
    assert await log.read("r", PAGE) == EventPage(tuple(events[PAGE:]), False)
    assert await log.read("r", -1) == EventPage((events[-1],), False)


async def test_a_heartbeat_renews_the_lease(backend):
    log, pass_time = backend
    await log.begin("r")
    for _ in range(3):
        await pass_time(10)
        assert await log.add("r", 0, []) == "held"
    assert (await log.read("r", 0)).held


async def test_a_worker_without_a_heartbeat_loses_its_lease(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    assert not await log.finish("r", 1, b"end"), "it is still held"
    await pass_time(10)
    assert (await log.read("r", 0)).held, "it may still come back"
    await pass_time(6)
    assert await log.read("r", 0) == EventPage((b"a",), False)
    assert not await log.finish("r", 0, b"end"), "its number is too low"
    assert await log.finish("r", 1, b"end")
    assert not await log.finish("r", 1, b"end"), "a run ends once"
    for last in (False, True):
        assert await log.add("r", 1, [b"b"], last=last) == "lost"
        assert await log.add("r", 1, [b"b", b"c"], last=last) == "lost"
        assert await log.add("r", 1, [], last=last) == "lost"
    assert await log.read("r", 0) == EventPage((b"a", b"end"), False)


async def test_a_worker_gets_its_expired_lease_back_if_nobody_has_ended_its_run(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    await pass_time(16)
    assert await log.add("r", 1, [b"b"]) == "held"
    assert not await log.finish("r", 1, b"end"), "the lease is held again"
    assert await log.read("r", 0) == EventPage((b"a", b"b"), True)
    await pass_time(16)
    for _ in range(2):
        assert await log.add("r", 1, [b"b", b"c"]) == "held", "a call whose result was lost"
    await pass_time(16)
    for _ in range(2):
        assert await log.add("r", 3, [b"end"], last=True) == "held"
    assert await log.read("r", 0) == EventPage((b"a", b"b", b"c", b"end"), False)


async def test_a_run_whose_worker_died_expires(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    log.__dict__.get("_own", set()).clear()  # it was the run of another process
    await pass_time(3 * 86_400)
    await log.begin("other")
    assert await log.add("r", 1, [b"b"]) == "lost"
    assert await log.read("r", 0) == EventPage((), False)


@pytest.mark.parametrize("seconds", [20, -20, 86_400, -86_400])
async def test_a_step_of_the_clock_ends_no_run(backend, seconds):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    await pass_time(seconds, steps=True)
    for _ in range(3):
        assert await log.read("r", 0) == EventPage((b"a",), True)
    await log.begin("other")
    await pass_time(3)
    assert await log.add("r", 1, [b"b"]) == "held"
    await pass_time(4)
    assert await log.read("r", 0) == EventPage((b"a", b"b"), True)
    assert await log.add("r", 2, [b"end"], last=True) == "held"
    assert await log.read("r", 0) == EventPage((b"a", b"b", b"end"), False)


@pytest.mark.parametrize("seconds", [20, -20, 86_400, -86_400])
async def test_a_step_of_the_clock_keeps_no_dead_run_alive(backend, seconds):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    await pass_time(seconds, steps=True)
    waited = 0
    while (await log.read("r", 0)).held:
        waited += 3
        await pass_time(3)
    assert 6 <= waited <= 15
    assert await log.finish("r", 1, b"end")
    assert await log.add("r", 1, [b"b"]) == "lost"


async def test_a_cancellation_reaches_a_worker_whose_lease_expired(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    await pass_time(10)
    await log.cancel("r")
    assert await log.add("r", 1, []) == "cancelled"


async def test_a_cancellation_keeps_no_dead_run_alive(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    await pass_time(10)
    for _ in range(3):
        await log.cancel("r")
        await log.read("r", 0)
        await pass_time(3)
    assert not (await log.read("r", 0)).held
    assert await log.finish("r", 1, b"end")


async def test_a_worker_sees_the_cancellation_of_its_run(backend):
    log, _ = backend
    await log.begin("r")
    await log.cancel("r")
    assert await log.add("r", 0, [b"a"]) == "cancelled"
    assert await log.add("r", 1, []) == "cancelled"
    assert await log.add("r", 1, [b"end"], last=True) == "cancelled"
    assert await log.read("r", 0) == EventPage((b"a", b"end"), False)
    await log.cancel("r")
    assert not (await log.read("r", 0)).held, "an ended run can't be continued"


async def test_events_of_an_ended_run_expire(backend):
    log, pass_time = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"], last=True)
    await pass_time(3601)
    await log.begin("other")
    assert await log.read("r", 0) == EventPage((), False)


async def test_a_deleted_run_has_no_events_and_no_lease(backend):
    log, _ = backend
    await log.begin("r")
    await log.add("r", 0, [b"a"])
    for _ in range(2):
        await log.delete("r")
    assert await log.read("r", 0) == EventPage((), False)
    assert await log.add("r", 1, [b"b"]) == "lost"


async def test_a_page_is_bounded_in_bytes_however_large_the_log_is(backend):
    log, _ = backend
    await log.begin("r")
    events = [b"%07d" % number + b"x" * 9_993 for number in range(90)]
    assert await log.add("r", 0, [*events, b"e" * 3 * PAGE_BYTES, b"end"], last=True) == "held"
    read: list[bytes] = []
    while page := (await log.read("r", len(read))).events:
        assert sum(map(len, page[:-1])) < PAGE_BYTES
        read += page
    assert read == [*events, b"e" * 3 * PAGE_BYTES, b"end"]
    assert (await log.read("r", -1)).events == (b"end",)
