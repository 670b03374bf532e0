"""Observers of what has ended are called a moment later, several at a time."""

import asyncio

from gateway.observe.deferred import Deferred


async def test_observers_are_called_one_after_the_other_with_everything_that_has_ended():
    calls = []
    deferred = Deferred()
    observe = deferred.observer(
        lambda ended: calls.append(("first", ended)), lambda ended: calls.append(("last", ended))
    )
    observe(1)
    observe(2)
    assert calls == []
    deferred.drain()
    assert calls == [("first", 1), ("first", 2), ("last", 1), ("last", 2)]
    deferred.drain()
    assert len(calls) == 4


async def test_a_single_one_waits_for_a_moment_only():
    seen = asyncio.get_running_loop().create_future()
    Deferred().observer(seen.set_result)("ended")
    async with asyncio.timeout(10):
        assert await seen == "ended"


async def test_many_do_not_wait_for_the_moment():
    calls = []
    observe = Deferred().observer(calls.append)
    for number in range(32):
        observe(number)
    await asyncio.sleep(0)
    assert calls == list(range(32))


async def test_after_a_drain_the_next_one_is_called_too():
    deferred = Deferred()
    deferred.observer(lambda _: None)(1)
    deferred.drain()
    seen = asyncio.get_running_loop().create_future()
    deferred.observer(seen.set_result)(2)
    async with asyncio.timeout(10):
        assert await seen == 2


async def test_an_observer_that_fails_is_logged_and_the_others_count(capsys):
    calls = []

    def fail(_):
        raise RuntimeError("a defect")

    deferred = Deferred()
    observe = deferred.observer(fail, calls.append)
    observe(1)
    observe(2)
    deferred.drain()
    assert calls == [1, 2]
    assert capsys.readouterr().out.count("An observer failed") == 2
