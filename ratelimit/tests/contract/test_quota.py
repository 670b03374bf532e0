"""The quota against its model, over random histories: alone, and three instances over one real Redis."""

import pytest
import pytest_asyncio
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, rule

from openclaw_ratelimit import Quota, Reservation, Script
from support.machine import DAY, Linked, Machine, histories, leave_early
from support.quota_model import ASKERS, POLICIES, Model
from support.servers import redis_server

NOTHING = Script("return 1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


class Histories(Machine):
    """What is let through, and how quotas stand then. Subclasses say where it is counted."""

    reservations = Bundle("reservations")

    def prepare(self):
        self.model = Model()
        self.quotas = []

    async def open(self):
        self.quotas = [Quota(POLICIES, clock=lambda: self.now)] * 3

    @rule(target=reservations, instance=st.integers(0, 2), asker=st.sampled_from(ASKERS), tokens=st.integers(0, 25))
    def reserve(self, instance, asker, tokens):
        outcome = self.run(self.quotas[instance].reserve(asker, tokens))
        places = self.model.reserve(asker, tokens, self.now)
        assert isinstance(outcome, Reservation) == (places is not None)
        remaining = [max(0, left) for left in self.model.remaining(asker, self.now)]
        assert [status.remaining for status in outcome.statuses] == remaining
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

    @rule(instance=st.integers(0, 2), asker=st.sampled_from(ASKERS), tokens=st.integers(0, 25))
    def reserve_and_leave(self, instance, asker, tokens):
        self.run(self.leave(instance, asker, tokens))

    async def leave(self, instance, asker, tokens):
        outcome = await leave_early(self.ask(self.quotas[instance], asker, tokens))
        if isinstance(outcome, Reservation):
            await outcome.undo()

    @staticmethod
    async def ask(quota, asker, tokens):
        return await quota.reserve(asker, tokens)

    @rule(instance=st.integers(0, 2), asker=st.sampled_from(ASKERS))
    def reset(self, instance, asker):
        self.run(self.quotas[instance].reset(asker))
        self.model.reset(asker)

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters):
        self.now += quarters / 4


class Together(Linked, Histories):
    """Three instances, one real Redis; each has a clock of its own for what it counts beside it."""

    async def open(self):
        await self.open_links(max_backoff=0.01)
        lease = 100_000  # never too short for a history
        self.quotas = [Quota(POLICIES, link=link, lease=lease) for link in self.links]
        await self.begin()

    async def leave(self, instance, asker, tokens):
        await super().leave(instance, asker, tokens)
        link = self.links[instance]
        for _ in range(2):  # the answer, and what is sent because of it
            await link.ask(NOTHING, [], [])

    @rule(days=st.sampled_from([-1, 1]))
    def the_servers_time_is_set(self, days):
        self.skew += days * DAY
        self.run(self.compare())


TestAlone = histories(Histories, examples=150, steps=60)


class TestTogether(histories(Together, examples=60, steps=50)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Together.port = server.port
