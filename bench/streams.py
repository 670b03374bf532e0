"""Many concurrent slow streams: the lag of each chunk at the client, and the memory of open streams."""

import asyncio
import re
import time
from array import array
from dataclasses import dataclass
from typing import cast

import payloads
import procfs
from exchange import LAST_CHUNK
from scenarios import TIMED

RAMP = 2.0  # seconds over which the streams are opened, so that their clocks are spread
MAX_OVERTIME = 20.0  # seconds beyond the planned end
STAMP = re.compile(rb"@(\d{20})@")


@dataclass(frozen=True, slots=True)
class Lag:
    """Times in seconds, from the provider's write of a chunk to its arrival at the client.

    `first_p99` is the time from the client's request to the first byte of the answer; `rss` the peak in bytes.
    """

    streams: int
    failures: int
    p50: float
    p99: float
    first_p99: float
    cpu_per_chunk: float
    rss: int
    problem: str | None


class Stream(asyncio.Protocol):
    """One stream. `ended` holds what went wrong, or None when all chunks and the end arrived."""

    def __init__(self, lags: "array[float]", firsts: "array[float]") -> None:
        self._lags = lags
        self._firsts = firsts
        self._tail = b""  # the bytes after the last whole event
        self._chunks = 0
        self._asked = 0.0
        self._started = False
        self._done_received = False
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class
        self._asked = time.monotonic()
        self._transport.write(TIMED.request())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self._started:
            self._started = True
            self._firsts.append(now - self._asked)
            if not data.startswith(b"HTTP/1.1 200"):
                self._end(f"answer begins {data[:200]!r}")
                return
        data = self._tail + data
        events, separator, self._tail = data.rpartition(b"\n\n")
        if separator:
            for stamp in STAMP.findall(events):
                self._lags.append(now - int(stamp) / 1e9)
                self._chunks += 1
            self._done_received = self._done_received or b"data: [DONE]" in events
        if self._tail.endswith(LAST_CHUNK):
            whole = self._chunks == payloads.TIMED_CHUNKS and self._done_received
            self._end(None if whole else f"ended after {self._chunks} chunks, [DONE]: {self._done_received}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost after {self._chunks} chunks ({exc})")

    def _end(self, problem: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(problem)
            self._transport.close()


async def _open(
    count: int, port: int, lags: "array[float]", firsts: "array[float]"
) -> list[asyncio.Future[str | None]]:
    """Open the streams evenly over the ramp. A stream that can't be opened counts as ended."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    ended: list[asyncio.Future[str | None]] = []
    for number in range(count):
        await asyncio.sleep(max(0.0, start + RAMP * number / count - loop.time()))
        try:
            _, stream = await loop.create_connection(lambda: Stream(lags, firsts), "127.0.0.1", port)
            ended.append(stream.ended)
        except OSError as error:
            refused = loop.create_future()
            refused.set_result(f"can't connect: {error}")
            ended.append(refused)
    return ended


async def _wait(ended: list[asyncio.Future[str | None]], limit: float, pid: int) -> int:
    """Wait for all streams, at most `limit` seconds. Returns the peak of the tree's memory."""
    peak = 0
    deadline = time.monotonic() + limit
    pending = set(ended)
    while pending and time.monotonic() < deadline:
        peak = max(peak, procfs.rss_bytes(pid))
        _, pending = await asyncio.wait(pending, timeout=0.5)
    return peak


def _quantile(values: "array[float]", share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


async def measure(port: int, pid: int, count: int) -> Lag:
    """Run `count` streams through the proxy on `port`, whose root process is `pid`."""
    lags, firsts = array("d"), array("d")
    cpu = procfs.cpu_seconds(pid)
    ended = await _open(count, port, lags, firsts)
    peak = await _wait(ended, payloads.TIMED_CHUNKS * payloads.TIMED_INTERVAL + MAX_OVERTIME, pid)
    problems = [stream.result() if stream.done() else "did not end in time" for stream in ended]
    failed = [problem for problem in problems if problem is not None]
    return Lag(
        streams=count,
        failures=len(failed),
        p50=_quantile(lags, 0.5),
        p99=_quantile(lags, 0.99),
        first_p99=_quantile(firsts, 0.99),
        cpu_per_chunk=(procfs.cpu_seconds(pid) - cpu) / max(1, len(lags)),
        rss=peak,
        problem=failed[0] if failed else None,
    )
