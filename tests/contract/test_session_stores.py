"""The contract of all stores of conversations: in memory, in SQLite, in Redis, in a cluster."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import pytest_asyncio

from gateway.core.errors import SessionBusy, SessionChanged, Unavailable
from gateway.core.session_key import SessionKey
from gateway.state.sessions.keyed_queue import KeyedQueue
from gateway.state.sessions.redis import WAITER_TTL, RedisSessions
from gateway.state.sessions.sqlite import SqliteSessions
from gateway.state.sessions.store import Cursor, SessionPolicy
from tests.contract.stores import BACKENDS, SHARED, open_backend, servers

KEY = SessionKey(None, "main", "openai-user:u1")
ALICE = SessionKey("alice", "main", "openai-user:u1")
POLICY = SessionPolicy(ttl=3600, max_bytes=100, lease=30.0)
BRIEF = SessionPolicy(lease=0.9, grace=0.5)
STEPS = (20, -20, 86_400, -86_400)
LONG = 20.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with servers(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def another(backend, redis, tmp_path, clock):
    """Creates further stores on the same backend, like those of other instances."""

    @asynccontextmanager
    async def make(policy=POLICY, *, waiter_ttl=WAITER_TTL):
        async with open_backend(backend, redis, tmp_path) as at:
            if backend in SHARED:
                store = RedisSessions(at, policy, prefix="test", waiter_ttl=waiter_ttl)
                yield store
                await store.close()
            else:
                yield SqliteSessions(at, policy, clock=clock)

    if backend in SHARED:
        await redis[backend].flush()
    return make


@pytest_asyncio.fixture(loop_scope="module")
async def store(another):
    async with another() as made:
        yield made


async def add(store, key, *entries):
    for entry in entries:
        await store.append(await store.acquire(key, LONG), entry)


async def entries(store, key):
    stored = await store.read(key)
    return () if stored is None else stored[1]


async def test_entries_are_returned_unchanged_and_in_order(store):
    await add(store, KEY, b"1", b"\xff\x00", b"3")
    lease = await store.acquire(KEY, LONG)
    assert lease.entries == (b"1", b"\xff\x00", b"3")
    await store.release(lease)
    assert await entries(store, KEY) == lease.entries


async def keys(store, owner=None, **asked):
    listing = await store.list_sessions(owner, **({"everybody": False, "limit": 10} | asked))
    return [facts.key for facts in listing.sessions]


async def test_conversations_do_not_mix(store):
    await add(store, KEY, b"1")
    await add(store, ALICE, b"2")
    await add(store, SessionKey(None, "other", KEY.name), b"3")
    assert await entries(store, KEY) == (b"1",)
    assert await entries(store, ALICE) == (b"2",)


async def test_a_lease_that_adds_nothing_leaves_no_trace(store, backend, redis):
    await store.release(await store.acquire(KEY, LONG))
    assert await store.read(KEY) is None
    if backend in SHARED:
        assert await redis[backend].ask("DBSIZE") == 0
    assert await keys(store, everybody=True) == []


@pytest.fixture
def waiting(backend, redis):
    """Waits until this number of requests is in the queue of a conversation."""

    async def until(count):
        if backend not in SHARED:
            return await asyncio.sleep(0)  # a request is in the queue after its first step
        async with asyncio.timeout(10):
            while True:
                _, lines = await redis[backend].ask("SCAN", 0, "MATCH", "*{session:*", "COUNT", 1000, "TYPE", "zset")
                if sum([await redis[backend].ask("ZCARD", line) for line in lines]) == count:
                    return None
                await asyncio.sleep(0.002)

    return until


async def test_requests_are_served_one_after_the_other_in_order_of_arrival(store, waiting):
    first = await store.acquire(KEY, LONG)
    order = []

    async def come(number):
        lease = await store.acquire(KEY, LONG)
        order.append(number)
        await store.append(lease, b"%d" % number)

    coming = []
    for number in range(8):
        coming.append(asyncio.create_task(come(number)))
        await waiting(number + 1)
    assert order == []
    await store.append(first, b"-")
    await asyncio.gather(*coming)
    assert order == list(range(8))
    assert await entries(store, KEY) == (b"-", *(b"%d" % number for number in range(8)))


async def test_a_request_that_waited_too_long_fails_and_leaves_the_queue(store, waiting):
    first = await store.acquire(KEY, LONG)
    with pytest.raises(SessionBusy) as raised:
        await store.acquire(KEY, 0.1)
    assert (raised.value.status, raised.value.code) == (409, "session_busy")
    assert int(raised.value.headers["Retry-After"]) >= 1
    impatient = asyncio.create_task(store.acquire(KEY, LONG))
    await waiting(1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await waiting(0)
    patient = asyncio.create_task(store.acquire(KEY, LONG))
    await waiting(1)
    await store.release(first)
    async with asyncio.timeout(2):  # shorter than the time after which a waiter counts as dead
        await store.release(await patient)


async def test_a_request_that_is_cancelled_at_any_moment_blocks_no_other(store, waiting):
    first = await store.acquire(KEY, LONG)
    for moment in range(400):
        leaving = asyncio.create_task(store.acquire(KEY, LONG))
        for _ in range(moment % 40):
            await asyncio.sleep(0)
        leaving.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait({leaving})
        assert leaving.cancelled()
    await waiting(0)
    await store.release(first)
    await store.release(await store.acquire(KEY, 1.0))


async def test_other_conversations_do_not_wait(store):
    first = await store.acquire(KEY, LONG)
    await store.release(await store.acquire(ALICE, 0.5))
    await store.release(first)


async def test_an_entry_under_a_used_lease_is_refused(store):
    lease = await store.acquire(KEY, LONG)
    await store.append(lease, b"1")
    await add(store, KEY, b"2")
    with pytest.raises(SessionChanged):
        await store.append(lease, b"3")
    assert await entries(store, KEY) == (b"1", b"2")


@pytest.mark.parametrize("backend", ["sqlite", *SHARED], indirect=True)
async def test_an_entry_after_another_requests_entry_is_refused(another):
    """Another process has the lease: in Redis because the first expired, with SQLite because leases are per process."""
    async with another(BRIEF) as first, another(BRIEF) as second:
        slow = await first.acquire(KEY, LONG)
        await add(second, KEY, b"2")
        with pytest.raises(SessionChanged) as raised:
            await first.append(slow, b"1")
        assert raised.value.status == 409
        assert await entries(first, KEY) == (b"2",)
        await add(first, KEY, b"3")
        assert await entries(second, KEY) == (b"2", b"3")


async def test_a_deleted_conversation_can_not_be_continued(store):
    await add(store, KEY, b"1")
    lease = await store.acquire(KEY, LONG)
    assert await store.delete(KEY)
    with pytest.raises(SessionChanged):
        await store.append(lease, b"2")
    assert await store.read(KEY) is None
    assert not await store.delete(KEY)
    await add(store, KEY, b"3")
    assert await entries(store, KEY) == (b"3",)


async def test_the_oldest_entries_above_the_limit_are_deleted_but_never_the_last(store):
    await add(store, KEY, b"a" * 40, b"b" * 40, b"c" * 20)
    assert len(await entries(store, KEY)) == 3
    await add(store, KEY, b"d")
    assert await entries(store, KEY) == (b"b" * 40, b"c" * 20, b"d")
    await add(store, KEY, b"e" * 1000)
    assert await entries(store, KEY) == (b"e" * 1000,)
    facts, _ = await store.read(KEY)
    assert (facts.bytes, facts.entries) == (1000, 1)
    await add(store, KEY, b"f")
    assert await entries(store, KEY) == (b"f",)


async def test_a_list_has_the_owners_conversations_most_recently_used_first(store, clock):
    for key, entry in ((KEY, b"1"), (ALICE, b"22"), (SessionKey(None, "main", "b"), b"3")):
        clock.now += 1
        await add(store, key, entry)
        await asyncio.sleep(0.002)  # the server's clock
    clock.now += 1
    await add(store, KEY, b"4")
    assert await keys(store) == [KEY, SessionKey(None, "main", "b")]
    (alice,) = (await store.list_sessions("alice", everybody=False, limit=10)).sessions
    assert (alice.key, alice.bytes, alice.entries) == (ALICE, 2, 1)
    assert alice.created == alice.updated > 0
    assert await keys(store, "bob") == []
    everybody = await store.list_sessions("bob", everybody=True, limit=2)
    assert [facts.key for facts in everybody.sessions] == [KEY, SessionKey(None, "main", "b")]
    assert everybody.sessions[0].updated > everybody.sessions[0].created


async def test_a_cursor_continues_the_list_after_its_page(store, clock):
    added = [SessionKey(owner, "main", f"n{number}") for number in range(5) for owner in (None, "alice")]
    for number, key in enumerate(added):
        clock.now += number % 3  # some with equal times
        await add(store, key, b"1")
    for everybody, expected in ((True, set(added)), (False, {key for key in added if key.owner is None})):
        seen, after = [], None
        while True:
            page = await store.list_sessions(None, everybody=everybody, limit=3, after=after)
            assert len(page.sessions) <= 3
            seen += page.sessions
            if (after := page.next) is None:
                break
        assert [facts.key for facts in seen] == list(dict.fromkeys(facts.key for facts in seen))
        assert {facts.key for facts in seen} == expected
        # Redis puts a conversation into the list a moment before it notes its time.
        assert all(facts.updated > following.updated - 0.1 for facts, following in pairwise(seen))
    assert await keys(store, after=Cursor(1.0, "agent:main:n1")) == []


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_daily_scan_adds_conversations_that_are_not_in_the_index(store, redis, backend):
    await add(store, KEY, b"1")
    await add(store, ALICE, b"2")
    at = redis[backend]
    assert await keys(store, everybody=True) == [ALICE, KEY]
    await at.ask("CONFIG", "RESETSTAT")
    assert await keys(store, everybody=True) == [ALICE, KEY]
    assert "cmdstat_scan" not in str(await at.ask("INFO", "commandstats"))
    for index in await at.ask("KEYS", "test:{sessions}*"):
        await at.ask("DEL", index)
    await add(store, SessionKey(None, "main", "new"), b"3")
    assert await keys(store, everybody=True) == [SessionKey(None, "main", "new"), ALICE, KEY]
    assert await keys(store, "alice") == [ALICE]


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_scan_goes_on_when_its_readers_leave(store, redis, backend):
    at = redis[backend]
    added = [SessionKey(None, "main", f"n{number}") for number in range(20)]
    for key in added:
        await add(store, key, b"1")
    await at.ask("DEL", "test:{sessions}:all")
    readers = [asyncio.create_task(keys(store, everybody=True)) for _ in range(3)]
    while not store._index._scan:
        await asyncio.sleep(0)
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    while store._index._scan:
        await asyncio.sleep(0.001)
    await at.ask("CONFIG", "RESETSTAT")
    assert set(await keys(store, everybody=True, limit=30)) == set(added)
    assert "cmdstat_scan" not in str(await at.ask("INFO", "commandstats"))


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_an_index_skips_deleted_conversations_and_drops_expired_ones(another, redis, backend):
    async with another(SessionPolicy(ttl=1.5)) as brief, another() as store:
        await add(brief, KEY, b"1")
        assert await keys(brief, everybody=True) == [KEY]
        (entries_key,) = await redis[backend].ask("KEYS", "*:entries")
        while await redis[backend].ask("EXISTS", entries_key):
            await asyncio.sleep(0.01)
        await add(brief, ALICE, b"2")
        assert await keys(store, everybody=True) == [ALICE]
        assert await redis[backend].ask("ZSCORE", "test:{sessions}:all", str(KEY)) is None
        await store.delete(ALICE)
        assert await redis[backend].ask("ZSCORE", "test:{sessions}:all", str(ALICE)) is None


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_lease_outlives_the_expiry_of_its_conversation(another, redis, backend):
    async def step_an_hour():
        """Let pass what ends a conversation, by the clock of Redis. Returns the time to live that is left (ms)."""
        await step(redis[backend], 3600)
        return [await redis[backend].ask("PTTL", name) for name in await redis[backend].ask("KEYS", "*:[fe]*s")]

    async with another(SessionPolicy(ttl=60)) as store:
        await add(store, KEY, b"1")
        lease = await store.acquire(KEY, LONG)
        assert min(await step_an_hour()) > 3_600_000
        for _ in range(60):  # longer than any step that a run survives without renewals
            assert await store.renew(lease)
            await step_an_hour()
        assert await store.renew(lease)
        await store.append(lease, b"2")
        assert await entries(store, KEY) == (b"1", b"2")
        assert await step_an_hour() == [], "it expires again"


@pytest.mark.parametrize("backend", ["memory", "sqlite"], indirect=True)
async def test_a_conversation_is_not_deleted_during_a_run(store, clock):
    await add(store, KEY, b"1")
    clock.now += 3599
    lease = await store.acquire(KEY, LONG)
    clock.now += 600
    await add(store, ALICE, b"-")  # sweeps
    assert await store.renew(lease)
    await store.append(lease, b"2")
    assert await entries(store, KEY) == (b"1", b"2")


async def test_deleting_a_conversation_without_entries_does_not_end_its_lease(store):
    lease = await store.acquire(KEY, LONG)
    assert not await store.delete(KEY)
    assert await store.renew(lease)
    await store.append(lease, b"1")
    assert await entries(store, KEY) == (b"1",)


@pytest.mark.parametrize("backend", SHARED, indirect=True)
@pytest.mark.parametrize("lost", ["facts", "entries"])
async def test_only_evicted_keys_are_lost(store, redis, backend, lost):
    await add(store, KEY, b"a" * 40, b"b" * 40)
    (evicted,) = await redis[backend].ask("KEYS", f"*:{lost}")
    await redis[backend].ask("DEL", evicted)
    assert (await store.read(KEY) is None) is (lost == "entries")
    await add(store, KEY, b"c" * 40, b"d" * 20)
    facts, remaining = await store.read(KEY)
    assert remaining == ((b"b" * 40,) if lost == "facts" else ()) + (b"c" * 40, b"d" * 20)
    assert facts.bytes == sum(map(len, remaining))


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_damaged_conversation_hides_no_other_and_can_be_deleted(store, redis, backend):
    await add(store, KEY, b"1")
    at = redis[backend]
    (facts,) = await at.ask("KEYS", "*:facts")
    for name in ("created", "updated", "bytes"):
        await at.ask("HSET", facts, name, b"\xff{damaged")
    await add(store, ALICE, b"2")
    await at.ask("ZADD", "test:{sessions}:all", 5, b"\xff\xfe")
    assert await keys(store, everybody=True) == [ALICE, KEY]
    assert await entries(store, KEY) == (b"1",)
    assert await store.delete(KEY)
    assert await keys(store, everybody=True) == [ALICE]


async def test_a_turn_passes_on_when_its_waiter_times_out_in_that_moment():
    queue = KeyedQueue()
    await queue.enter("k", LONG)
    gone, patient = (asyncio.create_task(queue.enter("k", LONG)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    queue.leave("k")
    with pytest.raises(asyncio.CancelledError):
        await gone
    await patient
    queue.leave("k")
    assert not len(queue)


async def test_a_conversation_expires_after_its_last_use(store, backend, redis, clock):
    await add(store, KEY, b"1")
    if backend in SHARED:
        for key in await redis[backend].ask("KEYS", "test:{session*}:[fe]*"):
            assert 3_598_000 < await redis[backend].ask("PTTL", key) <= 3_600_000
        return
    clock.now += 3599
    await add(store, KEY, b"2")
    clock.now += 3599
    assert await entries(store, KEY) == (b"1", b"2")
    clock.now += 1
    assert await store.read(KEY) is None
    assert await keys(store, everybody=True) == []
    assert not await store.delete(KEY)
    await add(store, KEY, b"3")
    clock.now += 700
    await add(store, ALICE, b"4")  # sweeps
    assert await entries(store, KEY) == (b"3",)


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_dead_instances_lease_expires_and_a_renewed_lease_does_not(another):
    async with another(BRIEF) as dead, another(BRIEF) as other:
        await dead.acquire(KEY, LONG)
        began = asyncio.get_running_loop().time()
        lease = await other.acquire(KEY, LONG)
        assert 0.4 < asyncio.get_running_loop().time() - began < LONG / 2
        for _ in range(12):  # a lease expires after ten such pauses, on a busy machine after fewer
            await asyncio.sleep(0.05)
            assert await other.renew(lease)
            with pytest.raises(SessionBusy):
                await dead.acquire(KEY, 0.01)
        await other.append(lease, b"1")
        assert not await other.renew(lease)


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_an_instance_that_died_in_the_queue_blocks_no_other_and_leaves_no_key(another, redis, backend, waiting):
    async with another(waiter_ttl=0.3) as store, another(waiter_ttl=0.3) as dead:
        first = await store.acquire(KEY, LONG)
        dead.release = asyncio.Event().wait  # it dies without leaving the queue
        gone = asyncio.create_task(dead.acquire(KEY, LONG))
        await waiting(1)
        gone.cancel()
        await asyncio.wait({gone})
        patient = asyncio.create_task(store.acquire(KEY, LONG))
        await waiting(2)
        await store.release(first)
        async with asyncio.timeout(30):
            await store.append(await patient, b"1")
        (facts,) = await redis[backend].ask("KEYS", "*:facts")
        assert set(await redis[backend].ask("HKEYS", facts)) == {"created", "updated", "bytes", "key"}
        for task in dead._releases:
            task.cancel()


@pytest.mark.parametrize("backend", SHARED, indirect=True)
async def test_a_lost_result_does_not_add_the_entry_twice(store, redis, backend):
    lease = await store.acquire(KEY, LONG)
    await store.append(lease, b"1")
    await store.append(lease, b"1")  # as a retry after a lost result
    assert await entries(store, KEY) == (b"1",)
    await add(store, KEY, b"2")  # another request adds an entry before the retry
    await store.append(lease, b"1")
    assert await entries(store, KEY) == (b"1", b"2")


@pytest.mark.parametrize("backend", ["redis"], indirect=True)
async def test_an_unreachable_redis_raises_unavailable(store, redis):
    lease = await store.acquire(KEY, LONG)
    redis["redis"].freeze()
    try:
        with pytest.raises(Unavailable):
            await store.append(lease, b"1")
        with pytest.raises(Unavailable):
            await store.acquire(ALICE, LONG)
    finally:
        redis["redis"].thaw()
    await add(store, ALICE, b"2")


async def step(redis, seconds):
    """What a step of the clock of Redis's machine does to leases, queues and keys that expire."""
    for name in await redis.ask("KEYS", "test:{session:*"):
        if name.endswith(":facts") and (until := await redis.ask("HGET", name, "until")):
            await redis.ask("HSET", name, "until", int(until) - seconds * 1000)
        if name.endswith(":alive"):
            for token in await redis.ask("HKEYS", name):
                await redis.ask("HINCRBY", name, token, -seconds * 1000)
        await redis.ask("PEXPIRE", name, max(0, await redis.ask("PTTL", name) - seconds * 1000))


async def polls(store, count):
    """Wait until the store has looked for the lease so many times more."""
    script, left = store._redis.run_script, asyncio.Semaphore(0)

    async def counted(*arguments, **options):
        result = await script(*arguments, **options)
        left.release()
        return result

    store._redis.run_script = counted
    async with asyncio.timeout(30):
        for _ in range(count):
            await left.acquire()
    del store._redis.run_script


@pytest.mark.parametrize("backend", SHARED, indirect=True)
@pytest.mark.parametrize("seconds", STEPS)
@pytest.mark.parametrize("earlier", [(), (b"0",)], ids=["new", "continued"])
async def test_a_step_of_the_clock_of_redis_loses_no_turn(another, redis, backend, seconds, earlier):
    patient = SessionPolicy(lease=0.9, grace=60.0)
    async with another(patient) as mine, another(patient) as other:
        await add(mine, KEY, *earlier)
        lease = await mine.acquire(KEY, LONG)
        await step(redis[backend], seconds)
        waiting = asyncio.create_task(other.acquire(KEY, 2 * LONG))
        for _ in range(3):
            await polls(other, 3)
            assert await mine.renew(lease), "the lease was lost"
            await step(redis[backend], seconds)
        assert not waiting.done()
        await mine.append(lease, b"1")
        assert (await waiting).entries == (*earlier, b"1")


@pytest.mark.parametrize("backend", SHARED, indirect=True)
@pytest.mark.parametrize("seconds", STEPS)
async def test_a_step_of_the_clock_of_redis_keeps_no_dead_request_in_front(another, redis, backend, seconds, waiting):
    async with another(BRIEF, waiter_ttl=0.3) as dead, another(BRIEF, waiter_ttl=0.3) as other:
        await dead.acquire(KEY, LONG)
        waiter = asyncio.create_task(dead.acquire(KEY, LONG))
        await waiting(1)
        dead._redis.run_script = asyncio.Event().wait  # both are dead now
        await step(redis[backend], seconds)
        lease = await other.acquire(KEY, 30.0)
        await other.append(lease, b"1")
        waiter.cancel()
        del dead._redis.run_script
        await asyncio.wait({waiter})


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_wrong_clock_at_the_start_deletes_nothing(another, clock):
    async with another() as store:
        await add(store, KEY, b"1")
    clock.now += 400 * 86_400
    async with another() as store:
        await add(store, ALICE, b"1")
        clock.now -= 400 * 86_400
        assert await entries(store, KEY) == (b"1",)
