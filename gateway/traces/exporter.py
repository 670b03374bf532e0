"""Exports what has ended in a thread of its own, so that no request waits for the collector.

The queue is bounded. What does not fit, because the collector does not answer, is lost and counted. The log names a
failing collector once, and once that it works again.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from gateway.traces.span import Record, Span

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two exports."""
MAX_QUEUED = 4096
"""Records that wait, about two kilobytes each."""
MAX_CONTENT = 32 * 1024 * 1024
"""Bytes of prompts and answers that wait."""
_BATCH = 128  # spans; encoding them takes some milliseconds, in which the event loop gets few turns
_CLOSING = 3.0  # seconds for the last exports
_STOPPING = 1.0  # seconds for an export that was interrupted


class Sink(Protocol):
    """Sends spans to the collector. Its methods may block."""

    def send(self, spans: Sequence[Span]) -> str | None:
        """Why the collector did not take them, None if it did."""
        ...

    def interrupt(self) -> None:
        """Give up what is being sent, and close the connections. Any thread may call it."""
        ...


class Exporter:
    """The queue and its thread. Call `start` in the event loop, and `close` at the end; it exports what waits.

    `sent` and `lost` count spans. Records beyond `max_queued`, or `max_content` bytes of prompts and answers, are lost.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        interval: float | None = None,
        max_queued: int = MAX_QUEUED,
        max_content: int = MAX_CONTENT,
    ) -> None:
        self.sent = 0
        self.lost = 0
        self._sink = sink
        self._interval = INTERVAL if interval is None else interval
        self._max_queued = max_queued
        self._max_content = max_content
        self._content_put = 0  # bytes so far; only the event loop writes this, and only the thread the next one
        self._content_taken = 0
        self._queue: deque[Record] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._given_up = False
        self._fails = False
        self._thread = threading.Thread(target=self._run, name="export traces", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def put(self, record: Record) -> None:
        """Queue a record; it is lost if the queue is full. Call this in the event loop."""
        queued, content = len(self._queue), record.content_bytes
        full = self._content_put - self._content_taken + content > self._max_content if content else False
        if full or queued >= self._max_queued:
            self.lost += record.size
            return
        self._content_put += content
        self._queue.append(record)
        if queued == _BATCH:
            self._wake.set()

    async def close(self) -> None:
        """Export what waits, for a few seconds at most, and end the thread."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, _CLOSING)
        self._given_up = True
        await asyncio.to_thread(self._sink.interrupt)
        await asyncio.to_thread(self._thread.join, _STOPPING)
        self.lost += sum(record.size for record in self._queue)
        if self.lost:
            log.warning("Spans are lost: the collector did not take them", spans=self.lost)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._interval)
            self._wake.clear()
            self._export()
        self._export()

    def _export(self) -> None:
        """Send all that waits."""
        while self._queue and not self._given_up:
            records: list[Record] = []
            spans: list[Span] = []
            problem: str | None
            try:
                while self._queue and len(spans) < _BATCH:
                    records.append(record := self._queue.popleft())
                    self._content_taken += record.content_bytes
                    spans.extend(record.spans())
                problem = self._sink.send(spans)
            except Exception as error:  # noqa: BLE001  of a record or the SDK; it must not end the thread
                problem = f"{type(error).__name__}: {error}"
            if problem is None:
                self.sent += len(spans)
            else:
                self.lost += sum(record.size for record in records)
            if (problem is not None) is not self._fails:
                self._fails = problem is not None
                self._report(problem)

    def _report(self, problem: str | None) -> None:
        """Log in the event loop, whose lines must not mix with those of a thread."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_log, problem)
        except RuntimeError:  # the loop has been closed: `close` waited, and has reported what is lost
            return


def _log(problem: str | None) -> None:
    if problem is None:
        log.info("The collector takes traces again")
    else:
        log.warning("Traces are lost while the collector does not take them", reason=problem)
