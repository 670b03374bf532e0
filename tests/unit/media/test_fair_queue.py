import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.core.errors import Overloaded
from gateway.media.fair_queue import FairQueue


class Work:
    """Work in slots that ends when a test says so; `started` are the names in their order."""

    def __init__(self, *arguments, **options):
        self.queue = FairQueue(*arguments, **options)
        self.started = []
        self._ends = {}
        self._tasks = {}

    async def start(self, name):
        """`name` begins with the caller's letter."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._run(name))
        await self.settle()

    async def end(self, name):
        self._ends[name].set()
        await self._tasks[name]
        await self.settle()

    def end_now(self, name):
        self._ends[name].set()

    def cancel_now(self, name):
        self._tasks[name].cancel()

    async def cancel(self, name):
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await self.settle()

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)

    async def _run(self, name):
        async with self.queue.slot(name[0]):
            self.started.append(name)
            await self._ends[name].wait()

    async def close(self):
        for name in self._tasks:
            await self.cancel(name)


@asynccontextmanager
async def working(*arguments, **options):
    work = Work(*arguments, **options)
    yield work
    await work.close()


async def test_one_caller_leaves_a_slot_for_others():
    async with working(3, 2) as work:
        for name in ("a1", "a2", "a3", "b1"):
            await work.start(name)
        assert work.started == ["a1", "a2", "b1"]
        await work.end("b1")
        assert work.started[3:] == [], "nor does the caller get the slot that another one leaves"
        await work.end("a1")
        assert work.started[3:] == ["a3"]


async def test_waiting_callers_take_turns():
    async with working(1, 1) as work:
        for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
            await work.start(name)
        for name in ("a1", "a2", "b1", "c1", "a3"):
            await work.end(name)
        assert work.started == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_too_many_waiting_is_a_503_with_retry_after():
    async with working(1, 1, max_waiting=3, caller_waiting=2) as work:
        for name in ("a1", "a2", "a3"):
            await work.start(name)
        with pytest.raises(Overloaded) as refused:
            async with asyncio.timeout(5):
                await work.queue._enter("a")
        assert refused.value.headers == {"Retry-After": "10"}
        await work.start("b1")
        with pytest.raises(Overloaded):
            async with asyncio.timeout(5):
                await work.queue._enter("b")
        await work.end("a1")
        await work.start("c1")
        await work.end("a2")
        assert work.started == ["a1", "a2", "b1"]


async def test_a_caller_that_leaves_gives_its_turn_and_its_slot_back():
    async with working(1, 1) as work:
        for name in ("a1", "b1", "c1"):
            await work.start(name)
        await work.cancel("b1")
        await work.cancel("a1")
        assert work.started == ["a1", "c1"]
        await work.end("c1")
        await work.start("d1")
        assert work.started == ["a1", "c1", "d1"]
        assert work.queue._waiting == {}


async def test_a_turn_that_comes_in_the_moment_of_a_cancellation_goes_to_the_next():
    async with working(1, 1) as work:
        for name in ("a1", "b1", "c1"):
            await work.start(name)
        work._ends["a1"].set()
        await work._tasks["a1"]  # b1's turn is set, but b1 has not run yet
        await work.cancel("b1")
        assert work.started[-1] == "c1"


async def test_a_caller_that_leaves_while_its_turn_comes_loses_no_slot():
    async with working(1, 1) as work:
        await work.start("a1")
        await work.start("b1")
        await work.start("c1")
        work.end_now("a1")
        work.cancel_now("b1")
        await work.settle()
        assert work.started == ["a1", "c1"]
        await work.end("a1")
        await work.end("c1")
        await work.start("d1")
        assert work.started == ["a1", "c1", "d1"]


async def test_in_a_full_queue_a_caller_with_fewer_turns_takes_one_of_the_caller_with_the_most():
    async with working(1, 1, max_waiting=5, caller_waiting=4) as work:
        for name in ("a1", "a2", "a3", "a4", "a5", "b1", "c1"):
            await work.start(name)
        assert isinstance(work._tasks["a5"].exception(), Overloaded)
        with pytest.raises(Overloaded):
            await work.queue._enter("a")
        await work.start("d1")
        assert isinstance(work._tasks["a4"].exception(), Overloaded)
        await work.start("d2")
        assert isinstance(work._tasks["d2"].exception(), Overloaded), "it would have as many as the others"
        for name in ("a1", "a2", "b1", "c1", "d1", "a3"):
            await work.end(name)
        assert work.started == ["a1", "a2", "b1", "c1", "d1", "a3"]
        assert not work.queue._waiting
        await work.start("e1")
        assert work.started[-1] == "e1"


async def test_a_turn_that_is_refused_in_the_moment_of_its_cancellation_frees_no_slot():
    async with working(1, 1, max_waiting=3, caller_waiting=3) as work:
        for name in ("a1", "a2", "a3", "a4"):
            await work.start(name)
        work._tasks["b1"] = asyncio.create_task(work.queue._enter("b"))
        await asyncio.sleep(0)  # b1 takes the turn of a4, which has not run yet
        work._tasks["a4"].cancel()
        await work.settle()
        assert work._tasks["a4"].done()
        assert work.queue._free == 0
        assert work.queue._running == {"a": 1}
