"""A process that is busy itself must not take a healthy Redis for an ill one."""

import asyncio
import time

import pytest

from support.instances import until


@pytest.mark.parametrize("turns", range(6))
async def test_a_process_that_was_busy_for_too_long_does_not_blame_redis(instances, turns):
    one = instances[0]
    for number in range(5):
        asking = asyncio.create_task(one.limiter.record_failure(f"{turns} {number}"))
        for _ in range(turns):  # from not asked yet to almost answered
            await asyncio.sleep(0)
        time.sleep(1.5 * one.link.max_wait)
        assert (await asking).allowed
    assert one.changes == [(True, "")]


async def test_a_redis_that_does_not_answer_is_given_up_in_time_all_the_same(instances, server):
    one = instances[0]
    server.freeze()
    try:
        began = time.monotonic()
        assert (await one.limiter.record_failure("a")).allowed
        assert time.monotonic() - began < 0.5  # 0.04, and what a busy machine needs
        assert one.changes == [(True, ""), (False, "it did not answer in time")]
    finally:
        server.thaw()
    await until(lambda: one.link.available)
