"""Several serving processes on one port, and the parent that keeps them alive: `serve --workers N`.

A worker is `serve` itself with `--worker NUMBER`. It reads requests to stop from its standard input and ends when that
ends, so it survives no parent; it writes one line to its standard output once it serves.
"""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence

import structlog

from gateway.cli.stop import INTERRUPT, TERMINATE
from gateway.core.restart import RestartDelay

log = structlog.get_logger(__name__)

_SERVING = b"serving\n"


def tell_parent() -> None:
    """In a worker: tell that it serves. What is printed from now on goes to standard error."""
    os.write(sys.stdout.fileno(), _SERVING)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def check_free(host: str, port: int) -> None:
    """Raise OSError when anything listens there already.

    The workers themselves could not tell: with SO_REUSEPORT they would share the connections with another gateway's.
    """
    socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()


class Workers:
    """`count` workers, started again when they end, until a signal says otherwise.

    `command` starts one, its number comes last; `announce` is called once, when all of them serve; `patience` is how
    many seconds they get to end before they are killed.
    """

    def __init__(self, count: int, command: Sequence[str], *, announce: Callable[[], None], patience: float) -> None:
        self._numbers = range(1, count + 1)
        self._command = command
        self._announce = announce
        self._patience = patience
        self._alive: dict[int, Process] = {}
        self._serving: set[int] = set()
        self._first_serves = asyncio.Event()
        self._announced = False
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Keep them alive until a stop; the exit status.

        A worker that ends before all have served for the first time stops everything, and its status is the result.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._tell, TERMINATE)
        loop.add_signal_handler(signal.SIGINT, self._tell, INTERRUPT)
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(number)) for number in self._numbers]
            killer = group.create_task(self._kill_unresponsive())
            await asyncio.wait(keepers)
            killer.cancel()
        return self._status

    async def _keep(self, number: int) -> None:
        delays = RestartDelay()
        loop = asyncio.get_running_loop()
        if number != self._numbers[0]:
            await self._first_serves.wait()  # so that what keeps all of them from starting is told once
        while not self._stopping.is_set():
            started = loop.time()
            status, served = await self._one_life(number)
            if self._stopping.is_set():
                return
            if not self._announced:
                self._status = status if status > 0 else 1
                self._tell(INTERRUPT)
                return
            delay = delays.after(loop.time() - started if served else 0.0)
            log.warning("worker ended", worker=number, status=status, restart_s=delay)
            await self._unless_stopping(delay)

    async def _one_life(self, number: int) -> tuple[int, bool]:
        """Run a worker to its end: its exit status, negative for a signal, and whether it has served."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            str(number),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,  # the terminal's signals are for the parent, who passes them on once
        )
        self._alive[number] = process
        try:
            if self._stopping.is_set():
                _write(process, INTERRUPT)  # the others were told while this one was being started
            served = process.stdout is not None and await process.stdout.readline() == _SERVING
            if served:
                self._has_served(number)
            return await process.wait(), served
        finally:
            del self._alive[number]
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _has_served(self, number: int) -> None:
        self._first_serves.set()
        self._serving.add(number)
        if len(self._serving) == len(self._numbers) and not self._announced:
            self._announced = True
            self._announce()

    def _tell(self, word: bytes) -> None:
        """Pass a stop on to every worker; the second makes them hurry."""
        self._stopping.set()
        self._first_serves.set()
        for process in self._alive.values():
            _write(process, word)

    async def _unless_stopping(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _kill_unresponsive(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._patience)
        for number, process in self._alive.items():
            log.error("worker does not end and is killed", worker=number, pid=process.pid, after_s=self._patience)
            process.kill()


def _write(process: Process, word: bytes) -> None:
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(word)
