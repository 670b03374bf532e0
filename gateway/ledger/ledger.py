"""Writes the ledger behind the answers: the end of a run is encoded, and one task stores what waits in batches.

What waits is bounded. Rows that do not fit, because the store does not answer, are counted, and the count is stored
with the next rows. A process that is killed loses the rows of the last interval; the next one counts them by its
journal.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.tracebacks import drop_tracebacks
from gateway.ledger.booking import rows_of
from gateway.ledger.journal import Journal
from gateway.ledger.row import EncodedRows, compress
from gateway.runs.trace import Observer, RunFinished
from gateway.state.usage.store import Segment, UsageStore
from gateway.upstream.provider import Provider

log = structlog.get_logger(__name__)

INTERVAL = 0.9
"""Seconds between two writes."""
_MAX_WAITING = 20_000  # rows that wait for the store, a third of a kilobyte each
_MAX_SEGMENT = 2000  # rows in one segment
_RETRY = 1.0  # seconds until a failed write is repeated
_CLOSING = 10.0  # seconds for the last writes


@dataclass(slots=True)
class _Pending:
    """Rows that are being written, and the lost rows that are counted with them; `segment` once it is compressed."""

    rows: EncodedRows
    lost: int
    segment: Segment | None = None


class Ledger:
    """The queue and its task. Call `start` in the event loop, and `close` at the end; it stores what waits.

    Without a `journal` nobody learns what a killed process has lost. `collect` calls the observer with the runs that
    wait for it.
    """

    def __init__(
        self,
        store: UsageStore,
        *,
        journal: Journal | None = None,
        collect: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self.store = store
        self.lost = 0
        """Rows that this process could not store, and those that an earlier one lost when it was killed."""
        self.written = 0
        """Rows that this process has stored."""
        self.reporting = asyncio.Lock()
        """Held by a report while it reads: reports run one after the other, so that they leave time for requests."""
        self._journal = journal
        self._collect = collect
        self._clock = clock
        self._interval = interval
        self._max_waiting = max_waiting
        self._batches: deque[EncodedRows] = deque()  # the last one is being filled
        self._waiting = 0  # rows in all of them, and in the pending segment
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
        """Rows that are not stored yet; with a journal also those of running attempts."""
        return self._waiting if self._journal is None else self._journal.pending

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return self._waiting

    def observer(self, providers: Mapping[str, Provider]) -> Observer:
        """An observer of runs that use these providers. It encodes the rows at once.

        The objects of thousands of runs, held for a second, would cost every request the processor's caches.
        """
        clock, max_waiting = self._clock, self._max_waiting

        def observe(finished: RunFinished) -> None:
            if self._waiting >= max_waiting:
                self._lose(len(finished.trace.attempts))
                return
            if not self._waiting:
                self._wake.set()
            batch = self._filling()
            for row in rows_of(finished, clock() - finished.trace.since_end, providers):
                batch.add(row)
                self._waiting += 1

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
        self._collect()
        self._closing = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task}, timeout=_CLOSING)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self._waiting:
            rows, self._waiting = self._waiting, 0
            self._batches.clear()
            self._lose(rows)
        if self._journal is not None:
            self._journal.close(self._unreported)

    async def flush(self) -> None:
        """Store what waits now. Raises Unavailable.

        Rows that come meanwhile wait for the next time: else, under load, one write would follow the other.
        """
        self._collect()
        async with self._lock:
            segments = len(self._batches) + (self._pending is not None)
            for _ in range(segments or bool(self._unreported)):
                await self._write_segment()

    async def _write(self) -> None:
        while not (self._closing and not (self._waiting or self._unreported)):
            if not (self._waiting or self._unreported or self._closing):
                self._wake.clear()
                await self._wake.wait()
            if not self._closing:
                await self._pause(self._interval)
            try:
                await self.flush()
            except Unavailable as error:
                drop_tracebacks(error)
                log.warning("The ledger can't be written", reason=error.message, waiting=self._waiting)
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
        """Store the oldest rows.

        A segment that may or may not be stored is stored again unchanged.
        """
        pending = self._pending
        if pending is None:
            rows = self._batches.popleft() if self._batches else EncodedRows()
            pending = self._pending = _Pending(rows, self._unreported)
        if pending.segment is None:
            data = await asyncio.to_thread(compress, pending.rows.segment(pending.lost))
            pending.segment = Segment(new_id(""), self._clock(), data)
        await self.store.append(pending.segment)
        self._pending = None
        self._waiting -= pending.rows.count
        self._unreported -= pending.lost
        self.written += pending.rows.count
        if self._journal is not None:
            self._journal.settle(pending.rows.count + pending.lost)

    def _filling(self) -> EncodedRows:
        """The batch for the next run, whose rows stay together."""
        if not self._batches or self._batches[-1].count >= _MAX_SEGMENT:
            self._batches.append(EncodedRows())
        return self._batches[-1]

    def _lose(self, rows: int) -> None:
        if not rows:
            return
        if not self._unreported:
            log.error("The ledger loses rows, because its store does not keep up", waiting=self._waiting)
        self.lost += rows
        self._unreported += rows
