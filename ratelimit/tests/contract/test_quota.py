"""The quota against its model, over random histories: alone, and three instances over one real Redis."""

import pytest
import pytest_asyncio
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, rule

from openclaw_ratelimit import Quota, Reservation, Script
from support.machine import DAY, Linked, Machine, histories, leave_early
from support.quota_model import CALLERS, POLICIES, Model
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
        self.quotas = [Quota(POLICIES, clock=lambda: self.now, max_run=10 * DAY)] * 3  # longer than a history

    @rule(target=reservations, instance=st.integers(0, 2), caller=st.sampled_from(CALLERS), tokens=st.integers(0, 25))
    def reserve(self, instance, caller, tokens):
        outcome = self.run(self.quotas[instance].reserve(caller, tokens))
        slots = self.model.reserve(caller, tokens, self.now)
        assert isinstance(outcome, Reservation) == (slots is not None)
        remaining = [max(0, left) for left in self.model.remaining(caller, self.now)]
        assert [status.remaining for status in outcome.statuses] == remaining
        if slots is None:
            assert outcome.retry_after > 0
            return None
        return outcome, caller, tokens, slots

    @rule(made=consumes(reservations), tokens=st.integers(0, 40))
    def settle(self, made, tokens):
        if made is not None:
            reservation, caller, reserved, slots = made
            self.run(reservation.settle(tokens))
            self.model.settle(caller, tokens, reserved, slots, self.now)

    @rule(instance=st.integers(0, 2), caller=st.sampled_from(CALLERS), tokens=st.integers(0, 25))
    def reserve_and_leave(self, instance, caller, tokens):
        self.run(self.leave(instance, caller, tokens))

    async def leave(self, instance, caller, tokens):
        outcome = await leave_early(self.ask(self.quotas[instance], caller, tokens))
        if isinstance(outcome, Reservation):
            await outcome.undo()

    @staticmethod
    async def ask(quota, caller, tokens):
        return await quota.reserve(caller, tokens)

    @rule(instance=st.integers(0, 2), caller=st.sampled_from(CALLERS))
    def reset(self, instance, caller):
        self.run(self.quotas[instance].reset(caller))
        self.model.reset(caller)

    @rule(instance=st.integers(0, 2), caller=st.sampled_from(CALLERS))
    def look(self, instance, caller):
        usages = self.run(self.quotas[instance].usage(caller))
        assert [(one.policy.name, one.used) for one in usages] == list(self.model.used(caller, self.now))

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters):
        self.now += 16 * quarters


class Together(Linked, Histories):
    """Three instances, one real Redis; each has a clock of its own for what it counts beside it. Another database of it
    has a quota of the same name.
    """

    async def open(self):
        await self.open_links(max_backoff=0.01)
        lease = 100_000  # never too short for a history
        self.quotas = [Quota(POLICIES, link=link, lease=lease) for link in self.links]
        self.other, self.other_model, self.held = Quota(POLICIES, link=self.other_link, lease=lease), Model(), []
        await self.begin()

    @rule(caller=st.sampled_from(CALLERS), tokens=st.integers(0, 25), resets=st.booleans())
    def another_database_is_used(self, caller, tokens, resets):
        if resets:
            self.run(self.other.reset(caller))
            self.other_model.reset(caller)
        outcome = self.run(self.other.reserve(caller, tokens))
        slots = self.other_model.reserve(caller, tokens, self.now)
        assert isinstance(outcome, Reservation) == (slots is not None)
        self.held.append(outcome)  # a reservation that nobody has is abandoned

    async def leave(self, instance, caller, tokens):
        await super().leave(instance, caller, tokens)
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
