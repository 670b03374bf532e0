"""A link in another event loop, thread or process is an error at once, not a call that never ends."""

import asyncio
import multiprocessing
import os
import threading

import pytest

from openclaw_ratelimit import UsageError
from support.instances import PATIENT, POLICY, Instance, quiet


@pytest.fixture
def link_settings():
    return PATIENT


def opened_and_left(url):
    """An instance whose event loop has ended without its being closed."""
    made = Instance(url)
    asyncio.run(made.link.open())
    return made


async def fail_in_time(instance):
    async with asyncio.timeout(1):
        await instance.limiter.record_failure("a")


async def test_a_second_event_loop_is_an_error_at_once(server):
    one = await asyncio.to_thread(opened_and_left, server.url)
    assert not one.link.available
    with pytest.raises(UsageError, match="another event loop"):
        await fail_in_time(one)


async def test_another_threads_event_loop_is_an_error_at_once(instances):
    def fail_in_another_loop():
        asyncio.run(fail_in_time(instances[0]))

    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(fail_in_another_loop)
    assert await instances[0].failures("a", 9) == POLICY.max_attempts


async def test_closing_in_another_threads_event_loop_is_an_error_at_once(instances):
    with pytest.raises(UsageError, match="close it there"):
        await asyncio.to_thread(asyncio.run, instances[0].link.close())
    assert await instances[0].failures("a", 9) == POLICY.max_attempts


async def test_closing_what_a_finished_event_loop_has_left_is_no_error(server):
    one = await asyncio.to_thread(opened_and_left, server.url)
    await one.link.close()


def in_child(instance, pipe):
    try:
        asyncio.run(fail_in_time(instance))
    except UsageError as error:
        pipe.send(str(error))
    os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_fork_is_an_error_at_once(instances):
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(instances[0], there))
    threading.Thread(target=child.start).start()
    assert await asyncio.to_thread(here.poll, 10)
    assert "another event loop" in here.recv()
    await asyncio.to_thread(child.join)
    await quiet(*instances)
