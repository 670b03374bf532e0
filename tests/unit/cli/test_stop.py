import asyncio
import os
import signal

import pytest

from gateway.cli.stop import Stop


@pytest.fixture
async def stop():
    """As a worker has it."""
    made = Stop()
    made.listen_as_worker()
    yield made
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)


async def test_the_parents_first_word_behind_a_workers_own_signals_forces_nothing_and_its_second_does(stop):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await stop.requested.wait()
    stop.request()
    assert not stop.force.is_set()
    stop.request()
    assert stop.force.is_set()
