"""One child process, from start to exit. `chat` decides whether to start another one."""

import asyncio
import contextlib
import shutil
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Protocol

from gateway.core.child_process import child_environment, python_command
from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.openmp import create_library_folder, with_library_folder

_MODULE = "gateway.upstream.embedded.child"
_MAX_STDERR_BYTES = 2000  # of the child's last output, enough for an exception
_EXIT_TIMEOUT = 5.0  # seconds before the child is killed


class Child(Protocol):
    """A started child. All waits can be cancelled."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    async def serving(self) -> bool:
        """Returns True when the child serves, False if it exited before."""
        ...

    async def ended(self) -> str:
        """Wait until the child exits. Returns the reason, as a part of a sentence."""
        ...

    async def stop(self) -> None:
        """End the child, with SIGKILL after a timeout, and wait until it has exited."""
        ...


class Spawn(Protocol):
    """Starts a child. Raises OSError if the system refuses."""

    async def __call__(self, settings: ChildSettings) -> Child:
        """Start a child, which does not serve yet."""
        ...


class ChildProcess:
    """The real child. Call `stop` in every case: it also ends the task that reads stderr and removes `libraries`."""

    def __init__(self, process: Process, libraries: Path | None = None) -> None:
        self._process = process
        self._libraries = libraries
        self._stderr = bytearray()
        self._stderr_reader = asyncio.create_task(self._read_stderr())

    @property
    def pid(self) -> int:
        """See Child."""
        return self._process.pid

    async def serving(self) -> bool:
        """See Child. The child prints one line when it serves."""
        output = self._process.stdout
        return output is not None and bool(await output.readline())

    async def ended(self) -> str:
        """See Child."""
        status = await self._process.wait()
        await asyncio.wait([self._stderr_reader])
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        last_line = self._stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"{how}: {last_line}" if last_line else how

    async def stop(self) -> None:
        """See Child. The child exits when its standard input closes."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            async with asyncio.timeout(_EXIT_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            pass  # killed below
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has exited
                self._process.kill()
            if self._libraries is not None:
                shutil.rmtree(self._libraries, ignore_errors=True)
            await self._process.wait()
            await self._stderr_reader

    async def _read_stderr(self) -> None:
        stderr = self._process.stderr
        while stderr is not None and (piece := await stderr.read(_MAX_STDERR_BYTES)):
            self._stderr += piece
            del self._stderr[:-_MAX_STDERR_BYTES]


async def spawn(settings: ChildSettings) -> Child:
    """Start the real child with this Python. It reads its settings from standard input, which stays open."""
    libraries = create_library_folder()
    try:
        process = await asyncio.create_subprocess_exec(
            *python_command(_MODULE),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=with_library_folder(child_environment(), libraries),
        )
    except BaseException:
        if libraries is not None:
            shutil.rmtree(libraries, ignore_errors=True)
        raise
    if process.stdin is not None:
        process.stdin.write(settings.to_line())
    return ChildProcess(process, libraries)
