"""The load generator, a process of its own: reads a job per line on stdin, writes its result as a line on stdout.

A job names a scenario, the port and root process of the proxy, and how long to press; it ends with the input.
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

PATIENCE = 30.0  # seconds for the answers that are still under way when the time is up


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure. `pid` is the root of the tree whose CPU is counted; times are in seconds."""

    scenario: str
    port: int
    pid: int
    connections: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What `requests` answers cost the proxy, both in seconds."""

    requests: int
    cpu: float
    wall: float


class Pressure:
    """Keeps every connection busy with one request at a time until told to stop."""

    def __init__(self, scenario: Scenario, port: int) -> None:
        self._scenario = scenario
        self._port = port
        self._open: set[Exchange] = set()
        self._reopening: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = 0

    async def connect(self) -> None:
        """Open one more connection and put it to work."""
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
        """Let it run; raises `RuntimeError` as soon as an answer is wrong."""
        await asyncio.wait({self._over}, timeout=seconds)
        if self._over.done():
            self._over.result()

    async def finish(self) -> None:
        """Ask nothing more and wait for the last answers."""
        self._stopping = True
        await asyncio.gather(*self._reopening)
        await asyncio.wait_for(self._over, PATIENCE)


async def measure(job: Job) -> Cost:
    """Press for a while; the cost covers the requests begun after the warm-up, to the last answer."""
    pressure = Pressure(BY_NAME[job.scenario], job.port)
    for _ in range(job.connections):
        await pressure.connect()
    await pressure.press(job.warm_up)
    answers, cpu, begun = pressure.answers, procfs.cpu_seconds(job.pid), time.monotonic()
    await pressure.press(job.seconds)
    await pressure.finish()
    return Cost(pressure.answers - answers, procfs.cpu_seconds(job.pid) - cpu, time.monotonic() - begun)


def main() -> None:
    """Do the jobs one after the other; a failed one is answered with its error."""
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
