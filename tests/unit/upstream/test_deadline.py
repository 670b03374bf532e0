import asyncio

import pytest

from gateway.upstream.deadline import Deadlines


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_exceeds_its_deadline_gets_timeout_error():
    started = now()
    with pytest.raises(TimeoutError), Deadlines().at(started + 0.05):
        await forever()
    assert 0.05 <= now() - started < 1
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_suspended_deadline_interrupts_no_task():
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.at(now() + 0.3) as outer, deadlines.at(None) as suspended:
        await forever()
    assert (outer._expired, suspended._expired) == (True, False)


async def test_a_moved_deadline_expires_at_its_new_time():
    async def moved() -> None:
        with Deadlines().at(now() + 60) as deadline:
            deadline.when = now()
            await forever()

    with pytest.raises(TimeoutError):
        await moved()


async def test_a_cancellation_from_elsewhere_stays_a_cancellation():
    async def wait() -> None:
        with Deadlines().at(now() + 60):
            await forever()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_interrupts_only_its_own_task():
    deadlines = Deadlines()

    async def late() -> None:
        with deadlines.at(now() + 0.05):
            await forever()

    slow = asyncio.create_task(late())
    with deadlines.at(now() + 60):
        await asyncio.wait({slow}, timeout=5)
    assert isinstance(slow.exception(), TimeoutError)


async def test_no_timer_runs_without_a_waiting_task():
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.at(now()):
        await forever()
    with pytest.raises(TimeoutError), Deadlines().at(now() + 0.2):
        await forever()
    assert deadlines._timer is None
