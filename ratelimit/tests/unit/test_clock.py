"""One clock for all instances, whatever becomes of the server's."""

import pytest

from openclaw_ratelimit.clock import ServerClock

DAY = 86_400.0


class Server:
    """The server's time and the correction, as `clock.lua` handles them; answers take `delay` seconds on either way."""

    def __init__(self, clock):
        self.clock, self.ahead, self.correction, self.delay = clock, 5_000.0, 0, 0.0

    async def ask(self, _script, _keys, words):
        self.clock.advance(self.delay)
        time = round((self.clock() + self.ahead) * 1000)
        if words[0] == "correct" and self.correction == words[2]:
            self.correction = words[3]
        self.clock.advance(self.delay / 10)
        return time, self.correction


@pytest.fixture
def server(clock):
    return Server(clock)


@pytest.fixture
def clocks(clock):
    return [ServerClock(clock) for _ in range(2)]


async def read(clock, server):
    return await clock.read(server.ask, "clock", lambda: "")


async def test_instances_have_one_time_whatever_the_servers_is_set_to(clock, clocks, server):
    for one in clocks:
        await read(one, server)
    for step in (DAY, -DAY, -DAY, 0.5):
        before = clocks[0]()
        server.ahead += step
        assert [await read(one, server) for one in clocks] == [True, False]
        assert [one() for one in clocks] == pytest.approx([before] * 2, abs=0.002)
    late = ServerClock(clock)
    await read(late, server)
    assert late() == pytest.approx(clocks[0](), abs=0.002)


async def test_a_correction_that_was_lost_is_made_again(clocks, server):
    await read(clocks[0], server)
    server.ahead += DAY
    await read(clocks[0], server)
    server.correction = 0
    before = clocks[0]()
    assert await read(clocks[0], server)
    assert clocks[0]() == pytest.approx(before, abs=0.002)


async def test_an_answer_that_comes_late_is_no_change_of_the_time(clock, clocks, server):
    jumps = []
    clocks[0].follow(jumps.append)
    server.delay = 1.5  # of a join on a busy machine
    await read(clocks[0], server)
    assert len(jumps) == 1
    for delay in (0.0, 1.0, 0.001, 1.9, 0.0):
        server.delay = delay
        assert not await read(clocks[0], server)
        assert clocks[0]() == pytest.approx(clock() + server.ahead, abs=0.01)
        clock.advance(1.0)
    assert server.correction == 0
    assert len(jumps) == 1, "times that were learnt are not moved by a better estimate"


async def test_an_instance_that_was_overruled_moves_its_times(clock, clocks, server):
    jumps = []
    clocks[1].follow(jumps.append)
    for one in clocks:
        await read(one, server)
    server.correction = 2_000  # of an instance that saw time otherwise
    assert await read(clocks[1], server)
    assert jumps == [server.ahead, pytest.approx(2.0)]
    assert clocks[1]() == pytest.approx(clock() + server.ahead + 2.0, abs=0.01)
