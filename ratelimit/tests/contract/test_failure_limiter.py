"""The failure limiter against its model, over random histories: alone, over Redis, and with Redis coming and going."""

import asyncio
from copy import deepcopy

import pytest
import pytest_asyncio
import redis.asyncio
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from openclaw_ratelimit import FailureLimiter, Script
from support.failure_model import BUDGET, POLICY, Model
from support.instances import NEVER, until
from support.machine import DAY, Linked, Machine, histories, leave_early
from support.servers import redis_server

KEYS = st.sampled_from(["a", "b", "c"])
INSTANCES = st.integers(0, 2)
QUARTERS = st.integers(1, 24)
RESOLUTION = 0.0015  # seconds: the storage's milliseconds, and the estimate of its time


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


class Histories(Machine):
    """What one caller after the other sees. Subclasses say where it is counted."""

    budget = BUDGET

    def prepare(self):
        self.count = 0
        self.limiters = []
        self.models = [Model(self.budget)] * 3

    async def open(self):
        self.limiters = [FailureLimiter(POLICY, budget=self.budget, clock=lambda: self.now)] * 3

    async def sync(self):
        """Wait until every instance knows what the others did."""

    @rule(instance=INSTANCES, key=KEYS)
    def failure(self, instance, key):
        self.step()
        verdict = self.run(self.limiters[instance].record_failure(key))
        assert_alike(verdict, self.models[instance].fail(key, self.now, self.count))
        self.run(self.sync())

    @rule(instance=INSTANCES, key=KEYS)
    def failure_of_a_caller_that_leaves(self, instance, key):
        self.step()
        self.run(leave_early(self.limiters[instance].record_failure(key)))
        self.models[instance].fail(key, self.now, self.count)
        self.run(self.sync())

    @rule(instance=INSTANCES, key=KEYS)
    def unlock(self, instance, key):
        self.step()
        stood = self.run(self.limiters[instance].unlock(key))
        assert stood == self.models[instance].unlock(key, self.now)
        self.run(self.sync())

    @rule(instance=INSTANCES, key=KEYS)
    def success(self, instance, key):
        self.step()
        limiter, model = self.limiters[instance], self.models[instance]
        must_ask = limiter.must_ask(key)
        expected = model.succeed(key, self.now)
        assert self.run(self.succeed_now(limiter, key)) == (not must_ask)
        if must_ask:
            assert_alike(self.run(limiter.record_success(key)), expected)
        else:
            assert expected.allowed
        self.run(self.sync())

    async def succeed_now(self, limiter, key):
        return limiter.succeed_now(key)

    @rule(quarters=QUARTERS)
    def time_passes(self, quarters):
        self.now += quarters / 4

    @invariant()
    def locks_agree(self):
        for limiter, model in zip(self.limiters, self.models, strict=True):
            for key in ("a", "b", "c"):
                assert limiter.locked_for(key) == pytest.approx(
                    max(0.0, model.locked_until(key) - self.now), abs=RESOLUTION
                )

    @invariant()
    def lists_agree(self):
        early, late = self.now - RESOLUTION, self.now + RESOLUTION
        for limiter, model in zip(self.limiters, self.models, strict=True):
            locked = {lock.key for lock in limiter.locked()}
            for key in ("a", "b", "c"):
                until = model.locked_until(key)
                assert (key in locked) == (until > self.now) or early <= until <= late
                if until <= early:
                    assert len(model.counted(key, late)) <= limiter.failures(key) <= len(model.counted(key, early))
                elif until > late:
                    assert limiter.failures(key) == 0

    @invariant()
    def whoever_has_failures_must_ask(self):
        for limiter, model in zip(self.limiters, self.models, strict=True):
            for key in ("a", "b", "c"):
                assert limiter.must_ask(key) or not model.counted(key, self.now)

    def step(self):
        """No two things happen in the same millisecond, which is the storage's resolution."""
        self.count += 1
        self.now += 0.001


def assert_alike(verdict, expected):
    assert (verdict.allowed, verdict.remaining) == (expected.allowed, expected.remaining)
    assert verdict.retry_after == pytest.approx(expected.retry_after, abs=RESOLUTION)


class Barrier:
    """A peer that knows when a link has received all earlier messages."""

    behind = False

    def __init__(self):
        self.heard = asyncio.Queue()

    async def join(self, ask):
        pass

    async def catch_up(self, ask):
        pass

    async def beat(self, ask):
        pass

    async def hear(self, message):
        if message.startswith(b"barrier"):
            self.heard.put_nowait(message)


BARRIER = Script("redis.call('PUBLISH', ARGV[1], 'barrier ' .. ARGV[2])")


class Together(Linked, Histories):
    """Three instances, one real Redis; beside it a limiter of the same name in another database of it."""

    async def open(self):
        self.away = set()
        await self.open_links(max_backoff=0.01)
        self.barriers = [Barrier() for _ in self.links]
        for link, barrier in zip(self.links, self.barriers, strict=True):
            link.add(barrier)
        self.limiters = [FailureLimiter(POLICY, budget=self.budget, link=link) for link in self.links]
        self.other = FailureLimiter(POLICY, budget=self.budget, link=self.other_link)
        self.other_model = Model(self.budget)
        await self.begin()

    @rule(key=KEYS)
    def failure_in_another_database(self, key):
        if not self.away:
            self.step()
            expected = self.other_model.fail(key, self.now, self.count)
            assert_alike(self.run(self.other.record_failure(key)), expected)

    @rule(days=st.sampled_from([-1, 1]))
    def the_servers_time_is_set(self, days):
        self.skew += days * DAY
        if not self.away:
            self.run(self.compare())
            self.run(self.sync())

    def client(self, instance):
        """A client that finds no server while its instance is away."""
        machine = self

        class Switched(redis.asyncio.Connection):
            async def connect(self):
                if instance in machine.away:
                    raise redis.ConnectionError("switched off")
                await super().connect()

        pool = redis.asyncio.ConnectionPool(Switched, port=self.port, retry=NEVER)
        return redis.asyncio.Redis.from_pool(pool)

    async def sync(self):
        if self.away:
            return
        self.count += 1
        await self.links[0].ask(BARRIER, [], [self.links[0].channel, self.count])
        for barrier in self.barriers:
            assert await asyncio.wait_for(barrier.heard.get(), 5) == b"barrier %d" % self.count


class Apart(Together):
    """Redis goes and comes back: each instance counts on alone from what was known, then all is united."""

    budget = None  # how much is left of it while apart is an estimate

    @rule()
    def redis_goes(self):
        if not self.away:
            self.run(self.cut())
            self.models = [deepcopy(self.models[0]) for _ in range(3)]

    @rule(lost=st.booleans())
    def redis_comes_back(self, lost):
        if self.away:
            united = Model()
            for model in self.models:
                united.unite(model, self.now)
            self.run(self.mend(lost=lost))
            self.models = [united] * 3

    @rule()
    def the_database_is_another_one(self):
        if not self.away:
            self.run(self.swap())

    async def swap(self):
        await self.admin.execute_command("SWAPDB", 0, 2)
        async with redis.asyncio.Redis(port=self.port, db=2, retry=NEVER) as old:
            await old.flushdb()
        await self.compare()
        await self.sync()

    async def cut(self):
        self.away = {0, 1, 2}
        other = self.other_link
        beats = other.beats
        await self.admin.client_kill_filter(_type="normal", skipme=True)
        await self.admin.client_kill_filter(_type="pubsub")
        await until(lambda: not any(link.available for link in self.links), 20)
        # Time stands still only while nothing is under way: the other link must not read the clock between two rules.
        await until(lambda: other.beats > beats and other.available, 20)

    async def mend(self, *, lost):
        if lost:
            await self.admin.flushdb()
        for instance, link in enumerate(self.links):  # one by one: the order may matter by a moment
            self.away.discard(instance)
            await until(lambda link=link: link.available, 20)
        await until(lambda: self.other_link.available, 20)
        await self.compare()
        await self.sync()


TestAlone = histories(Histories, examples=150, steps=50)


class TestTogether(histories(Together, examples=40, steps=40)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Together.port = server.port


class TestApart(histories(Apart, examples=40, steps=40)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Apart.port = server.port
