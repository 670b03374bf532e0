"""Several serving processes on one port, and the parent that keeps them alive: `serve --workers N`.

A worker is `serve` itself with `--worker NUMBER`. It reads its configuration and stop requests from its standard input
(`gateway.cli.messages`) and exits when that closes, so it never outlives its parent; it writes one line to its standard
output once it serves.
"""

import asyncio
import os
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from gateway.cli.messages import INTERRUPT, SERVING, TERMINATE
from gateway.cli.stop import ignore_others
from gateway.cli.worker_metrics import MetricsHub
from gateway.core.restart import RestartDelay

log = structlog.get_logger(__name__)

_MAX_LINE = 2**22  # bytes; a worker reports the problems of a configuration in one


def check_free(host: str, port: int) -> None:
    """Raise OSError when another process listens on the address.

    The workers themselves can't detect that: with SO_REUSEPORT they would share the connections of another gateway.
    """
    socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()


class Follower(Protocol):
    """Takes part in the life of each worker."""

    def first_message(self, number: int) -> bytes:
        """What a worker reads before anything else."""
        ...

    def has_served(self, number: int) -> None:
        """The worker serves."""
        ...

    def has_replied(self, number: int, line: bytes) -> None:
        """The worker has written a line."""
        ...

    def has_ended(self, number: int) -> None:
        """The worker has ended, served or not."""
        ...


class Workers:
    """`count` workers, restarted when they end, until a stop signal.

    `command` starts one; its number is appended. `announce` is called once, when all of them serve.
    `shutdown_timeout` is the time in seconds that workers get to end before they are killed. `follower` takes part in
    the life of each worker. `metrics` adds theirs up.
    """

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        *,
        announce: Callable[[], None],
        shutdown_timeout: float,
        metrics: MetricsHub,
        follower: "Follower | None" = None,
    ) -> None:
        self._numbers = range(1, count + 1)
        self._command = command
        self._announce = announce
        self._shutdown_timeout = shutdown_timeout
        self.follower = follower
        self._metrics = metrics
        self.on_stop: list[Callable[[], Awaitable[None]]] = []
        self._alive: dict[int, Process] = {}
        self._serving: set[int] = set()
        self._first_serves = asyncio.Event()
        self._announced = False
        self._stopping = asyncio.Event()
        self._status = 0

    @property
    def serving(self) -> frozenset[int]:
        """The numbers of the workers that serve now."""
        return frozenset(self._serving)

    def send(self, number: int, data: bytes) -> None:
        """Send a message to a worker; nothing happens if it has ended."""
        if number in self._alive:
            _write(self._alive[number], data)

    def kill(self, number: int) -> None:
        """Kill a worker; it is started again."""
        if number in self._alive:
            self._alive[number].kill()

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Keep the workers alive until a stop signal. Returns the exit status. `started` is called once signals are
        handled.

        A worker that ends before all have served for the first time stops everything; its status is the result.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, TERMINATE)
        loop.add_signal_handler(signal.SIGQUIT, self._stop, TERMINATE)
        loop.add_signal_handler(signal.SIGINT, self._stop, INTERRUPT)
        ignore_others()
        started()
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep_alive(number)) for number in self._numbers]
            killer = group.create_task(self._kill_unresponsive())
            await self._stopping.wait()
            for end in self.on_stop:
                await end()
            await asyncio.wait(keepers)
            killer.cancel()
        return self._status

    async def _keep_alive(self, number: int) -> None:
        delays = RestartDelay()
        loop = asyncio.get_running_loop()
        if number != self._numbers[0]:
            await self._first_serves.wait()  # an error that stops every worker is then reported once
        while not self._stopping.is_set():
            started = loop.time()
            status, served = await self._run_once(number)
            if self._stopping.is_set():
                return
            if not self._announced:
                self._status = status if status > 0 else 1
                if status < 0:  # else the worker itself reports what is wrong
                    log.error("Worker was killed before it served, so the gateway ends", worker=number, status=status)
                self._stop(INTERRUPT)
                return
            delay = delays.after(loop.time() - started if served else 0.0)
            log.warning("Worker ended and is restarted", worker=number, status=status, restart_s=delay)
            await self._wait_unless_stopping(delay)

    async def _run_once(self, number: int) -> tuple[int, bool]:
        """Run a worker until it ends.

        Returns its exit status, negative for a signal, and whether it has served. A worker that can't be started, such
        as while its program is being replaced or when the process table is full, is a failed one: (1, False).
        """
        try:
            process = await self._spawn(number)
        except OSError as error:
            log.warning("Worker can't be started", worker=number, reason=error.strerror or str(error))
            return 1, False
        self._alive[number] = process
        try:
            if self._stopping.is_set():
                _write(process, INTERRUPT)  # the stop was passed on to the others while this one was being started
            served = await self._follow(number, process)
            return await process.wait(), served
        finally:
            del self._alive[number]
            self._serving.discard(number)
            if self.follower is not None:
                self.follower.has_ended(number)
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _follow(self, number: int, process: Process) -> bool:
        """Read what the worker reports until it ends; whether it has served."""
        follower, output = self.follower, process.stdout
        if follower is not None and not self._stopping.is_set():
            _write(process, follower.first_message(number))
        if output is None or await output.readline() != SERVING:
            return False
        self._count_as_serving(number)
        if follower is not None:
            follower.has_served(number)
            while line := await output.readline():
                follower.has_replied(number, line)
        return True

    async def _spawn(self, number: int) -> Process:
        with self._metrics.joining(os.environ) as (descriptor, environment):
            return await asyncio.create_subprocess_exec(
                *self._command,
                str(number),
                stdin=PIPE,
                stdout=PIPE,
                limit=_MAX_LINE,
                pass_fds=(descriptor,),
                env=environment,
                start_new_session=True,  # the terminal's signals are for the parent, which passes them on once
            )

    def _count_as_serving(self, number: int) -> None:
        self._first_serves.set()
        self._serving.add(number)
        if len(self._serving) == len(self._numbers) and not self._announced:
            self._announced = True
            self._announce()

    def _stop(self, word: bytes) -> None:
        """Pass a stop request on to every worker; a second one forces them to end."""
        self._stopping.set()
        self._first_serves.set()
        for process in self._alive.values():
            _write(process, word)

    async def _wait_unless_stopping(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _kill_unresponsive(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._shutdown_timeout)
        for number, process in self._alive.items():
            log.error(
                "Worker does not end and is killed", worker=number, pid=process.pid, after_s=self._shutdown_timeout
            )
            process.kill()


def _write(process: Process, word: bytes) -> None:
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(word)
