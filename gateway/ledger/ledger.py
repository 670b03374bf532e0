"""Writes the ledger behind the answers: runs queue their ends, and one task stores them in batches.

The queue is bounded. Rows that do not fit, because the store does not answer, are counted, and the count is stored with
the next rows. A process that is killed loses the rows of the last interval; the next one counts them by its journal.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

import structlog

from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.tracebacks import drop_tracebacks
from gateway.ledger.booking import Booking
from gateway.ledger.journal import Journal
from gateway.ledger.row import Row, Rows, compress, encode_rows
from gateway.runs.trace import Observer, RunFinished
from gateway.state.usage.store import Segment, UsageStore
from gateway.upstream.provider import Provider

log = structlog.get_logger(__name__)

INTERVAL = 0.9
"""Seconds between two writes."""
_MAX_QUEUED = 20_000  # runs that wait for the store, about a kilobyte each
_MAX_SEGMENT = 2000  # runs in one segment, whose encoding takes some milliseconds
_RETRY = 1.0  # seconds until a failed write is repeated
_CLOSING = 10.0  # seconds for the last writes


class _Pending(NamedTuple):
    """A segment that is being written: the runs and rows in it, and the lost rows that it counts."""

    segment: Segment
    runs: int
    rows: int
    lost: int


class Ledger:
    """The queue and its task. Call `start` in the event loop, and `close` at the end; it stores what waits.

    Without a `journal` nobody learns what a killed process has lost.
    """

    def __init__(
        self,
        store: UsageStore,
        *,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        max_queued: int = _MAX_QUEUED,
    ) -> None:
        self.store = store
        self.lost = 0
        """Rows that this process could not store, and those that an earlier one lost when it was killed."""
        self.written = 0
        """Rows that this process has stored."""
        self.reporting = asyncio.Lock()
        """Held by a report while it reads: reports run one after the other, so that they leave time for requests."""
        self._journal = journal
        self._clock = clock
        self._interval = interval
        self._max_queued = max_queued
        self._queue: deque[Booking] = deque()
        self._unreported = 0  # lost rows that no stored segment counts
        self._pending: _Pending | None = None
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def on_attempt(self) -> Callable[[], None] | None:
        """To be called at the begin of each attempt, None if that is not counted."""
        return None if self._journal is None else self._journal.begin

    @property
    def pending(self) -> int:
        """Rows that are not stored yet, those of running attempts included. Without a journal, runs that wait."""
        return len(self._queue) if self._journal is None else self._journal.pending

    def observer(self, providers: Mapping[str, Provider]) -> Observer:
        """An observer of runs that use these providers. It only queues."""
        queue, clock, max_queued = self._queue, self._clock, self._max_queued

        def observe(finished: RunFinished) -> None:
            if len(queue) >= max_queued:
                self._lose(len(finished.trace.attempts))
                return
            if not queue:
                self._wake.set()
            queue.append(Booking(clock(), finished, providers))

        return observe

    def start(self) -> None:
        """Start to write."""
        if self._journal is not None and (rows := self._journal.recovered):
            log.error("An earlier process was killed, and rows of the ledger are lost", rows=rows)
            self.lost += rows
            self._unreported += rows
        self._task = asyncio.create_task(self._write(), name="write the ledger")

    async def close(self) -> None:
        """Store what waits, for some seconds at most; what remains is counted as lost and logged."""
        self._closing = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task}, timeout=_CLOSING)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self._queue:
            rows = sum(len(booking.finished.trace.attempts) for booking in self._queue)
            self._queue.clear()
            self._lose(rows)
        if self._journal is not None:
            self._journal.close(self._unreported)

    async def flush(self) -> None:
        """Store what waits now. Raises Unavailable."""
        async with self._lock:
            while self._pending or self._queue or self._unreported:
                await self._write_segment()

    async def _write(self) -> None:
        while not (self._closing and not (self._queue or self._pending or self._unreported)):
            if not (self._queue or self._unreported or self._closing):
                self._wake.clear()
                await self._wake.wait()
            if not self._closing:
                await self._pause(self._interval)
            try:
                await self.flush()
            except Unavailable as error:
                drop_tracebacks(error)
                log.warning("The ledger can't be written", reason=error.message, waiting=len(self._queue))
                await asyncio.sleep(_RETRY)
            except Exception:  # a defect: nobody awaits the task before the end
                log.exception("The ledger stops")
                raise

    async def _pause(self, seconds: float) -> None:
        """Wait; less if the ledger is closing."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                while not self._closing:
                    await self._wake.wait()
                    self._wake.clear()
        except TimeoutError:
            return

    async def _write_segment(self) -> None:
        """Store the oldest runs, and remove them from the queue when they are stored.

        A segment that may or may not be stored is stored again unchanged.
        """
        pending = self._pending = self._pending or await self._next_segment()
        await self.store.append(pending.segment)
        self._pending = None
        for _ in range(pending.runs):
            self._queue.popleft()
        self._unreported -= pending.lost
        self.written += pending.rows
        if self._journal is not None:
            self._journal.settle(pending.rows + pending.lost)

    async def _next_segment(self) -> "_Pending":
        bookings = list(islice(self._queue, _MAX_SEGMENT))
        rows: list[Row] = [row for booking in bookings for row in booking.rows()]
        lost = self._unreported
        data = await asyncio.to_thread(compress, encode_rows(Rows(rows, lost)))
        return _Pending(Segment(new_id(""), self._clock(), data), len(bookings), len(rows), lost)

    def _lose(self, rows: int) -> None:
        if not rows:
            return
        if not self._unreported:
            log.error("The ledger loses rows, because its store does not keep up", waiting=len(self._queue))
        self.lost += rows
        self._unreported += rows
