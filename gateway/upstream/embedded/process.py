"""One life of the child process, from its start to its last words. Whether it gets another one is up to `chat`."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from typing import Protocol

from gateway.upstream.embedded.child import ChildSettings

_MODULE = "gateway.upstream.embedded.child"
_KEPT = 2000  # bytes of the child's last words, enough for an exception
_PATIENCE = 5.0  # seconds to end by itself


class Child(Protocol):
    """A started child. All waiting can be cancelled."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    async def serving(self) -> bool:
        """Return True once it serves, False if it ended before."""
        ...

    async def ended(self) -> str:
        """Wait for its end; how it ended, as half a sentence."""
        ...

    async def stop(self) -> None:
        """End it, by force if need be, and wait until it is gone."""
        ...


class Spawn(Protocol):
    """Starts a child. Raises OSError if the system refuses."""

    async def __call__(self, settings: ChildSettings) -> Child:
        """Start one; it is not serving yet."""
        ...


class ChildProcess:
    """The real child. `stop` must be called in every case; it also ends the task that reads the last words."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last_words = bytearray()
        self._listener = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """See Child."""
        return self._process.pid

    async def serving(self) -> bool:
        """See Child. The one line that a child prints says so."""
        output = self._process.stdout
        return output is not None and bool(await output.readline())

    async def ended(self) -> str:
        """See Child."""
        status = await self._process.wait()
        await asyncio.wait([self._listener])
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        words = self._last_words.decode(errors="replace").strip().rpartition("\n")[2]
        return f"{how}: {words}" if words else how

    async def stop(self) -> None:
        """See Child. Closing its standard input is the polite request."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            pass  # it did not hear, and is killed below
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                self._process.kill()
            await self._process.wait()
            await self._listener

    async def _listen(self) -> None:
        words = self._process.stderr
        while words is not None and (piece := await words.read(_KEPT)):
            self._last_words += piece
            del self._last_words[:-_KEPT]


async def spawn(settings: ChildSettings) -> Child:
    """Start the real child with this Python; the settings go through its standard input, which stays open."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", _MODULE, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    if process.stdin is not None:
        process.stdin.write(settings.to_line())
    return ChildProcess(process)
