"""The quota against its model, over random histories: alone, and three instances over one real Redis."""

import pytest
import pytest_asyncio
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, rule

from ratelimit import QUOTAS, Quota, Reservation
from tests.contract.machine import Linked, Machine, histories
from tests.contract.quota_model import ASKERS, POLICIES, Model
from tests.servers import redis_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


class Histories(Machine):
    """Admissions, and the limit status after each. Subclasses define where requests are counted."""

    reservations = Bundle("reservations")

    def prepare(self):
        self.model = Model()
        self.quotas = []

    async def open(self):
        self.quotas = [Quota(POLICIES, clock=lambda: self.now)] * 3

    @rule(target=reservations, instance=st.integers(0, 2), asker=st.sampled_from(ASKERS), tokens=st.integers(0, 25))
    def reserve(self, instance, asker, tokens):
        outcome = self.run(self.quotas[instance].reserve(asker, tokens))
        slots = self.model.reserve(asker, tokens, self.now)
        assert isinstance(outcome, Reservation) == (slots is not None)
        remaining = [max(0, left) for left in self.model.remaining(asker, self.now)]
        assert [standing.remaining for standing in outcome.standings] == remaining
        if slots is None:
            assert outcome.retry_after > 0
            return None
        return outcome, asker, tokens, slots

    @rule(made=consumes(reservations), tokens=st.integers(0, 40))
    def settle(self, made, tokens):
        if made is not None:
            reservation, asker, reserved, slots = made
            self.run(reservation.settle(tokens))
            self.model.settle(asker, tokens, reserved, slots, self.now)

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters):
        self.now += quarters / 4


class Together(Linked, Histories):
    """Three instances, one real Redis; each has its own clock for what it counts locally."""

    async def open(self):
        await self.open_links(QUOTAS)
        self.quotas = [
            Quota(
                POLICIES,
                link=link,
                lease=100_000,  # never too short for a history
                clock=lambda shift=shift: self.now + shift,
                server_time=lambda: self.now,
            )
            for shift, link in enumerate(self.links)
        ]
        await self.begin()


TestAlone = histories(Histories, examples=150, steps=60)


class TestTogether(histories(Together, examples=60, steps=50)):
    @pytest.fixture(autouse=True)
    def reached(self, server):
        Together.port = server.port
