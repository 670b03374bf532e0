"""What state machines over random histories have in common: a clock of their own, a loop, and links to one Redis."""

import asyncio
import os

import redis.asyncio
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine

from openclaw_ratelimit import ReplicationLink
from support.instances import NEVER, until


class Machine(RuleBasedStateMachine):
    """`open` before the first step, `close` after the last one; `now` is the time."""

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self.runner = asyncio.Runner()
        self.prepare()
        self.run(self.open())

    def prepare(self):
        """Set up what needs no loop."""

    async def open(self):
        pass

    async def close(self):
        pass

    def run(self, awaitable):
        async def awaited():
            return await awaitable

        return self.runner.run(awaited())

    def teardown(self):
        self.run(self.close())
        self.runner.close()


DAY = 86_400


class Linked:
    """Mixed in before a machine: three links to one real, empty Redis on `port`, and one to its other database.

    Local clocks differ, and `skew` is by how many seconds the server's time has been set.
    """

    port = 0

    async def open_links(self, **settings):
        self.skew = 0
        self.clients = [self.client(instance) for instance in range(3)]
        self.other_client = redis.asyncio.Redis(port=self.port, db=1, retry=NEVER)
        self.admin = redis.asyncio.Redis(port=self.port, retry=NEVER)
        await self.admin.flushall()
        # Patient, because this machine may be busy; heartbeats come when a rule wants them.
        shared = {"name": "test", "max_wait": 5.0, "heartbeat": 3_600.0, "server_time": lambda: self.now + self.skew}
        self.links = [
            ReplicationLink(client, clock=lambda shift=shift: self.now + shift, **shared | settings)
            for shift, client in enumerate(self.clients)
        ]
        self.other_link = ReplicationLink(self.other_client, clock=lambda: self.now, **shared | settings)

    async def begin(self):
        for link in (*self.links, self.other_link):
            await link.open()
        await until(lambda: all(link.available for link in (*self.links, self.other_link)), 20)

    def client(self, _instance):
        return redis.asyncio.Redis(port=self.port, retry=NEVER)

    async def compare(self):
        """Every instance has its heartbeat, and finds its way back if that shows a difference."""
        for link in (*self.links, self.other_link):
            beats = link.beats
            link.compare_now()
            await until(lambda link=link, beats=beats: link.beats > beats and link.available, 20)

    async def close(self):
        for link in (*self.links, self.other_link):
            await link.close()
        for client in (*self.clients, self.other_client, self.admin):
            await client.aclose()


async def leave_early(coroutine):
    """A caller that has left when the answer comes; what it was given if that came at once."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)  # it has asked
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


def histories(kind, *, examples, steps):
    """The test case of a machine."""
    machine = kind.TestCase
    machine.settings = settings(
        max_examples=int(os.environ.get("HISTORIES", examples)),
        stateful_step_count=int(os.environ.get("STEPS", steps)),
        deadline=None,
    )
    return machine
