"""The quota against its model, over random histories: alone, and three instances over one real Redis."""

import asyncio

import pytest
import pytest_asyncio
import redis.asyncio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ratelimit import QUOTAS, Link, Quota, Reservation
from tests.contract.quota_model import ASKERS, POLICIES, Model
from tests.servers import redis_server

NEVER = Retry(NoBackoff(), 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


class Histories(RuleBasedStateMachine):
    """What is let through, and how quotas stand then. Subclasses say where it is counted."""

    reservations = Bundle("reservations")

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self.model = Model()
        self.quotas = []
        self.runner = asyncio.Runner()
        self.run(self.open())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    async def open(self):
        self.quotas = [Quota(POLICIES, clock=lambda: self.now)] * 3

    def teardown(self):
        self.runner.close()

    @rule(target=reservations, instance=st.integers(0, 2), asker=st.sampled_from(ASKERS), tokens=st.integers(0, 25))
    def reserve(self, instance, asker, tokens):
        outcome = self.run(self.quotas[instance].reserve(asker, tokens))
        places = self.model.reserve(asker, tokens, self.now)
        assert isinstance(outcome, Reservation) == (places is not None)
        remaining = [max(0, left) for left in self.model.remaining(asker, self.now)]
        assert [standing.remaining for standing in outcome.standings] == remaining
        if places is None:
            assert outcome.retry_after > 0
            return None
        return outcome, asker, tokens, places

    @rule(made=consumes(reservations), tokens=st.integers(0, 40))
    def settle(self, made, tokens):
        if made is not None:
            reservation, asker, reserved, places = made
            self.run(reservation.settle(tokens))
            self.model.settle(asker, tokens, reserved, places, self.now)

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters):
        self.now += quarters / 4


class Together(Histories):
    """Three instances, one real Redis; each has a clock of its own for what it counts beside it."""

    port = 0

    async def open(self):
        self.clients = [redis.asyncio.Redis(port=self.port, retry=NEVER) for _ in range(3)]
        await self.clients[0].flushall()
        # Patient, because this machine may be busy; a lease is never too short for a history.
        self.links = [
            Link(client, name="test", scripts=(QUOTAS,), patience=5.0, pulse=3_600.0) for client in self.clients
        ]
        self.quotas = [
            Quota(
                POLICIES,
                link=link,
                lease=100_000,
                clock=lambda shift=shift: self.now + shift,
                server_time=lambda: self.now,
            )
            for shift, link in enumerate(self.links)
        ]
        for link in self.links:
            await link.open()
            assert link.available, link.reason

    def teardown(self):
        self.run(self.close())
        super().teardown()

    async def close(self):
        for link in self.links:
            await link.close()
        for client in self.clients:
            await client.aclose()


def histories(kind, *, examples, steps):
    machine = kind.TestCase
    machine.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    return machine


TestAlone = histories(Histories, examples=150, steps=60)


class TestTogether(histories(Together, examples=60, steps=50)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Together.port = server.port
