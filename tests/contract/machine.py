"""The common parts of state machines over random histories: a clock, an event loop, and links to one Redis."""

import asyncio

import redis.asyncio
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ratelimit import Link

NEVER = Retry(NoBackoff(), 0)


class Machine(RuleBasedStateMachine):
    """`open` before the first step, `close` after the last one; `now` is the time."""

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self.runner = asyncio.Runner()
        self.prepare()
        self.run(self.open())

    def prepare(self):
        """Set up the parts that need no event loop."""

    async def open(self):
        pass

    async def close(self):
        pass

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def teardown(self):
        self.run(self.close())
        self.runner.close()


class Linked:
    """Mixed in before a machine: three links to one real, empty Redis on `port`."""

    port = 0

    async def open_links(self, *scripts, **settings):
        self.clients = [self.client(instance) for instance in range(3)]
        self.admin = redis.asyncio.Redis(port=self.port, retry=NEVER)
        await self.admin.flushall()
        # A long timeout, because this machine may be busy; other tests cover the comparison by heartbeat.
        shared = {"name": "test", "scripts": scripts, "patience": 5.0, "pulse": 3_600.0} | settings
        self.links = [Link(client, **shared) for client in self.clients]

    async def begin(self):
        for link in self.links:
            await link.open()
            assert link.available, link.reason

    def client(self, _instance):
        return redis.asyncio.Redis(port=self.port, retry=NEVER)

    async def close(self):
        for link in self.links:
            await link.close()
        for client in (*self.clients, self.admin):
            await client.aclose()


def histories(kind, *, examples, steps):
    """The test case of a machine."""
    machine = kind.TestCase
    machine.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    return machine
