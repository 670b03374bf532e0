"""The load generator, a separate process. It reads a job per line from stdin and writes a result per line to stdout.

A job has a scenario, the port and root process of the proxy, and a duration. The process ends when its input closes.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import procfs
import streams
import uvloop
from exchange import Exchange
from scenarios import BY_NAME, TIMED, Scenario

TIMEOUT = 30.0  # seconds for the outstanding answers at the end


@dataclass(frozen=True, slots=True)
class Job:
    """A measurement. `pid` is the root of the process tree whose CPU is counted. Times are in seconds."""

    scenario: str
    port: int
    pid: int
    connections: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of `requests` answers in the proxy, in seconds of CPU and of time."""

    requests: int
    cpu: float
    wall: float


class Pressure:
    """Keeps every connection busy with one request at a time until it is stopped."""

    def __init__(self, scenario: Scenario, port: int) -> None:
        self._scenario = scenario
        self._port = port
        self._open: set[Exchange] = set()
        self._reopening: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = 0

    async def connect(self) -> None:
        """Open one more connection and start sending requests."""
        loop = asyncio.get_running_loop()
        _, exchange = await loop.create_connection(
            lambda: Exchange(self._scenario, self._answered, self._failed), "127.0.0.1", self._port
        )
        self._open.add(exchange)
        exchange.next_request()

    def _answered(self, exchange: Exchange) -> None:
        self.answers += 1
        if not self._stopping and not exchange.must_reopen:
            exchange.next_request()
            return
        exchange.close()
        self._open.discard(exchange)
        if not self._stopping:
            task = asyncio.ensure_future(self.connect())
            self._reopening.add(task)
            task.add_done_callback(self._reopened)
        elif not self._open and not self._over.done():
            self._over.set_result(None)

    def _reopened(self, task: asyncio.Task[None]) -> None:
        self._reopening.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failed(f"can't reconnect: {error}")

    def _failed(self, problem: str) -> None:
        if not self._over.done():
            self._over.set_exception(RuntimeError(f"{self._scenario.name}: {problem}"))

    async def press(self, seconds: float) -> None:
        """Run for some time. Raises `RuntimeError` as soon as an answer is wrong."""
        await asyncio.wait({self._over}, timeout=seconds)
        if self._over.done():
            self._over.result()

    async def finish(self) -> None:
        """Send no more requests and wait for the last answers."""
        self._stopping = True
        await asyncio.gather(*self._reopening)
        await asyncio.wait_for(self._over, TIMEOUT)


async def measure(job: Job) -> Cost:
    """Apply load. The cost covers the requests after the warm-up, until the last answer."""
    pressure = Pressure(BY_NAME[job.scenario], job.port)
    for _ in range(job.connections):
        await pressure.connect()
    await pressure.press(job.warm_up)
    answers, cpu, start = pressure.answers, procfs.cpu_seconds(job.pid), time.monotonic()
    await pressure.press(job.seconds)
    await pressure.finish()
    return Cost(pressure.answers - answers, procfs.cpu_seconds(job.pid) - cpu, time.monotonic() - start)


def main() -> None:
    """Run the jobs one after the other. The result of a failed job is its error."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        result: dict[str, object]
        try:
            if job.scenario == TIMED.name:
                result = asdict(uvloop.run(streams.measure(job.port, job.pid, job.connections)))
            else:
                result = asdict(uvloop.run(measure(job)))
        except (RuntimeError, OSError, TimeoutError) as error:
            result = {"error": str(error) or type(error).__name__}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
