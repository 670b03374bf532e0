"""The failure limiter against its model, over random histories: alone, over Redis, and with Redis coming and going."""

import asyncio
from copy import deepcopy

import pytest
import pytest_asyncio
import redis.asyncio
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from ratelimit import FAILURES, FailureLimiter, Script
from tests.contract.failure_model import BUDGET, POLICY, Model
from tests.contract.machine import NEVER, Linked, Machine, histories
from tests.servers import redis_server

KEYS = st.sampled_from(["a", "b", "c"])
INSTANCES = st.integers(0, 2)
QUARTERS = st.integers(1, 24)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


class Histories(Machine):
    """The results for callers, one after the other. Subclasses define where failures are counted."""

    budget = BUDGET

    def prepare(self):
        self.count = 0
        self.limiters = []
        self.models = [Model(self.budget)] * 3

    async def open(self):
        self.limiters = [FailureLimiter(POLICY, budget=self.budget, clock=lambda: self.now)] * 3

    async def delivered(self):
        """Wait until every instance has the messages of the others."""

    @rule(instance=INSTANCES, key=KEYS)
    def failure(self, instance, key):
        self.step()
        verdict = self.run(self.limiters[instance].record_failure(key))
        assert_alike(verdict, self.models[instance].fail(key, self.now, self.count))
        self.run(self.delivered())

    @rule(instance=INSTANCES, key=KEYS)
    def success(self, instance, key):
        self.step()
        limiter, model = self.limiters[instance], self.models[instance]
        stands_against_it = limiter.must_ask(key)
        expected = model.succeed(key, self.now)
        if stands_against_it:
            assert_alike(self.run(limiter.record_success(key)), expected)
        else:
            assert expected.allowed
            self.run(self.remember(limiter, key))
        self.run(self.delivered())

    async def remember(self, limiter, key):
        limiter.remember(key)

    @rule(quarters=QUARTERS)
    def time_passes(self, quarters):
        self.now += quarters / 4

    @invariant()
    def locks_agree(self):
        for limiter, model in zip(self.limiters, self.models, strict=True):
            for key in ("a", "b", "c"):
                assert limiter.locked_for(key) == pytest.approx(
                    max(0.0, model.cleared_until[key] - self.now), abs=0.0015
                )

    @invariant()
    def whoever_has_failures_must_ask(self):
        for limiter, model in zip(self.limiters, self.models, strict=True):
            for key in ("a", "b", "c"):
                assert limiter.must_ask(key) or not model.counted(key, self.now)

    def step(self):
        """Advance the clock by at least a millisecond, the resolution of the storage."""
        self.count += 1
        self.now += 0.001


def assert_alike(verdict, expected):
    assert (verdict.allowed, verdict.remaining) == (expected.allowed, expected.remaining)
    assert verdict.retry_after == pytest.approx(expected.retry_after, abs=0.0015)


class Barrier:
    """A peer that detects when a link has received everything that was published before."""

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
    """Three instances, one real Redis."""

    async def open(self):
        self.away = set()
        await self.open_links(FAILURES, BARRIER, longest_pause=0.01)
        self.barriers = [Barrier() for _ in self.links]
        for link, barrier in zip(self.links, self.barriers, strict=True):
            link.add(barrier)
        self.limiters = [
            FailureLimiter(POLICY, budget=self.budget, link=link, clock=lambda: self.now, server_time=lambda: self.now)
            for link in self.links
        ]
        await self.begin()

    def client(self, instance):
        """A client that can't reach the server while its instance is disconnected."""
        machine = self

        class Switched(redis.asyncio.Connection):
            async def connect(self):
                if instance in machine.away:
                    raise redis.ConnectionError("switched off")
                await super().connect()

        pool = redis.asyncio.ConnectionPool(Switched, port=self.port, retry=NEVER)
        return redis.asyncio.Redis.from_pool(pool)

    async def delivered(self):
        if self.away:
            return
        self.count += 1
        await self.links[0].ask(BARRIER, [], [self.links[0].channel, self.count])
        for barrier in self.barriers:
            assert await asyncio.wait_for(barrier.heard.get(), 5) == b"barrier %d" % self.count


class Apart(Together):
    """Redis disconnects and returns: each instance continues alone, then all counts are merged."""

    budget = None  # while disconnected, the remaining time is an estimate

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

    async def cut(self):
        self.away = {0, 1, 2}
        await self.admin.client_kill_filter(_type="normal", skipme=True)
        await self.admin.client_kill_filter(_type="pubsub")
        await self.until(lambda: not any(link.available for link in self.links))

    async def mend(self, *, lost):
        if lost:
            await self.admin.flushall()
        for instance, link in enumerate(self.links):  # one by one: the order may matter by a moment
            self.away.discard(instance)
            await self.until(lambda link=link: link.available)
        await self.delivered()

    async def until(self, condition):
        try:
            async with asyncio.timeout(20):
                while not condition():
                    await asyncio.sleep(0.001)
        except TimeoutError:
            raise AssertionError([(link.available, link.reason) for link in self.links]) from None


TestAlone = histories(Histories, examples=150, steps=50)


class TestTogether(histories(Together, examples=40, steps=40)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Together.port = server.port


class TestApart(histories(Apart, examples=40, steps=40)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Apart.port = server.port
