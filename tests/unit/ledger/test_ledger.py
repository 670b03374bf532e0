"""The queue of the ledger: behind the answer, bounded, repeated after a failure, drained at the end."""

import asyncio

import pytest

from gateway.core.errors import Unavailable
from gateway.core.names import ModelRef
from gateway.ledger.ledger import Ledger
from gateway.ledger.row import decode_rows
from gateway.runs.attempt import ANSWERED
from gateway.runs.trace import RunFinished, RunTrace


class Store:
    """Segments in a list. `failing` appends fail before or `late`, after they are stored."""

    def __init__(self):
        self.segments = {}
        self.failing = 0
        self.late = False

    async def append(self, segment):
        if self.failing and not self.late:
            self.failing -= 1
            raise Unavailable("away")
        self.segments[segment.id] = segment
        if self.failing:
            self.failing -= 1
            raise Unavailable("its result got lost")

    @property
    def stored(self):
        return [decode_rows(segment.data) for segment in self.segments.values()]

    @property
    def requests(self):
        return [row.request for rows in self.stored for row in rows.rows]

    @property
    def lost(self):
        return sum(rows.lost for rows in self.stored)


def finished(agent="main", attempts=1):
    trace = RunTrace(agent, lambda: 0.0, "owner")
    for _ in range(attempts):
        trace.begin(ModelRef("home", "big"), "apiKey", 0.0)
        trace.end(ANSWERED, 200)
    trace.close(ANSWERED)
    return RunFinished(trace, None, "owner", ANSWERED, failed=False)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def ledger(store):
    return Ledger(store, clock=lambda: 1000.0, interval=0.0, max_waiting=6)


async def test_a_run_is_stored_by_the_task_and_not_by_the_observer(ledger, store):
    observe = ledger.observer({})
    ledger.start()
    observe(finished())
    assert store.segments == {}
    async with asyncio.timeout(30):
        while not store.segments:
            await asyncio.sleep(0)
    await ledger.close()
    assert ledger.written == len(store.requests) == 1


async def test_runs_that_wait_are_stored_together(ledger, store):
    observe = ledger.observer({})
    for _ in range(3):
        observe(finished())
    await ledger.flush()
    assert len(store.segments) == 1
    assert len(store.requests) == 3


async def test_a_run_with_several_attempts_has_a_row_for_each_and_one_without_any_has_none(ledger, store):
    observe = ledger.observer({})
    observe(finished(attempts=3))
    observe(finished(attempts=0))
    await ledger.flush()
    assert [row.attempt for rows in store.stored for row in rows.rows] == [1, 2, 3]


async def test_rows_beyond_the_queue_are_counted_and_the_count_is_stored_with_the_next_rows(ledger, store):
    observe = ledger.observer({})
    for _ in range(5):
        observe(finished(attempts=2))
    assert ledger.lost == 4
    await ledger.flush()
    assert len(store.requests) == 6
    assert store.lost == 4
    observe(finished())
    await ledger.flush()
    assert store.lost == 4, "each lost row is counted once"


async def test_what_can_not_be_stored_stays_queued_and_is_stored_later(ledger, store):
    observe = ledger.observer({})
    observe(finished())
    store.failing = 1
    with pytest.raises(Unavailable):
        await ledger.flush()
    observe(finished())
    await ledger.flush()
    assert len(store.requests) == 2


async def test_a_segment_whose_result_got_lost_is_not_stored_twice(ledger, store):
    observe = ledger.observer({})
    observe(finished())
    store.failing, store.late = 1, True
    with pytest.raises(Unavailable):
        await ledger.flush()
    observe(finished())
    await ledger.flush()
    assert len(store.requests) == 2


async def test_the_end_stores_what_waits(store):
    ledger = Ledger(store, clock=lambda: 1000.0, interval=3600.0)
    observe = ledger.observer({})
    ledger.start()
    for _ in range(1200):
        observe(finished())
    async with asyncio.timeout(30):
        await ledger.close()
    assert len(store.requests) == 1200
    assert ledger.lost == 0


async def test_two_flushes_at_the_same_time_store_each_row_once(ledger, store):
    observe = ledger.observer({})
    observe(finished())
    await asyncio.gather(ledger.flush(), ledger.flush())
    assert len(store.requests) == 1


async def test_an_unexpected_error_of_the_task_is_logged_at_once_and_raised_at_the_end(ledger, store, capsys):
    observe = ledger.observer({})
    ledger.start()

    async def broken(_segment):
        raise ValueError("a defect")

    store.append = broken
    observe(finished())
    printed = ""
    async with asyncio.timeout(30):
        while "The ledger stops" not in printed:
            await asyncio.sleep(0)  # a thread compresses the rows first
            printed += capsys.readouterr().out
    with pytest.raises(ValueError, match="a defect"):
        await ledger.close()


async def test_a_report_that_is_given_up_loses_no_row(ledger, store):
    """A client that leaves cancels the flush before its report, while the rows are compressed."""
    observe = ledger.observer({})
    observe(finished())
    flush = asyncio.create_task(ledger.flush())
    await asyncio.sleep(0)
    flush.cancel()
    await asyncio.wait({flush})
    assert flush.cancelled()
    assert store.segments == {}
    await ledger.flush()
    assert len(store.requests) == 1


async def test_many_rows_are_stored_in_segments_and_the_rows_of_a_run_stay_together(store):
    ledger = Ledger(store, clock=lambda: 1000.0)
    observe = ledger.observer({})
    for _ in range(1500):
        observe(finished(attempts=3))
    await ledger.flush()
    assert [len(rows.rows) for rows in store.stored] == [2001, 2001, 498]


async def test_rows_that_come_during_a_write_wait_for_the_next_interval(ledger, store):
    observe = ledger.observer({})
    append = store.append

    async def busy(segment):
        observe(finished())
        await append(segment)

    store.append = busy
    observe(finished())
    await ledger.flush()
    assert (len(store.segments), ledger.waiting) == (1, 1)
