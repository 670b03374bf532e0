"""A program in its own process, as users run it: its output and its exit status."""

import asyncio
import os
import secrets
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.fork_server import ForkedProcess

MAX_WAIT = 60.0  # seconds for a start on a very busy machine, and for an end; a wait ends as soon as it can
# Below the system's ephemeral ports, which clients' connections use. So are the ports of Redis clusters among
# themselves, which are 10,000 higher.
_PORTS = range(12_000, 22_000)
# Enough that the user of a port listens on it by then, and few enough for any limit of open files.
_MAX_CLAIMS = 100
_claims: deque[socket.socket] = deque()


class Process:
    """A started program; `output` and `errors` are all that it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process | ForkedProcess) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.output = ""
        self.errors = ""
        self._news = asyncio.Condition()
        self._open = {"output", "errors"}
        self._readers = asyncio.gather(self._read(process.stdout, "output"), self._read(process.stderr, "errors"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def signal_group(self, number: int) -> None:
        """Signal it and the processes that it has started, as terminals and service managers do."""
        os.killpg(self._process.pid, number)

    async def wait_for_output(self, text: str, max_wait: float = MAX_WAIT) -> None:
        """Wait until `text` was written to either stream. Fails when the process ends without it."""
        try:
            async with asyncio.timeout(max_wait), self._news:
                await self._news.wait_for(lambda: text in self.output or text in self.errors or not self._open)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not written: {self.output}{self.errors}") from None
        assert text in self.output + self.errors, f"ended without saying {text!r}: {self.output}{self.errors}"

    async def wrote(self) -> None:
        """Wait for the first output."""
        async with asyncio.timeout(MAX_WAIT), self._news:
            await self._news.wait_for(lambda: self.output or not self._open)
        assert self.output, f"ended without output: {self.errors}"

    async def ended(self, within: float = MAX_WAIT) -> int:
        """Wait for its end and its last output. Returns the exit status."""
        async with asyncio.timeout(within):
            status = await self._process.wait()
            await self._readers
        return status

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the process does not end. Continues a frozen process first."""
        if self._process.returncode is None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
        try:
            await self.ended()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._readers

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while piece := await stream.read(2**16):
            async with self._news:
                setattr(self, name, getattr(self, name) + piece.decode(errors="replace"))
                self._news.notify_all()
        async with self._news:
            self._open.discard(name)
            self._news.notify_all()


def free_port(ports: range = _PORTS) -> int:
    """A free port of this machine that neither a client nor a parallel test run gets.

    Between here and the program that will listen on it, the port belongs to this process because it holds the UDP port
    of the same number, which nothing else here uses.
    """
    for _ in range(100):
        port = secrets.choice(ports)  # Hypothesis seeds `random`, so parallel test runs would choose the same
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as held:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _MAX_CLAIMS:
            _claims.popleft().close()
        return port
    raise AssertionError(f"a hundred ports in {ports} are in use")


def alive(pid: int) -> bool:
    """Whether the process runs (Linux); one that has ended stays listed until somebody asks for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _interruptible() -> None:
    """A shell lets what it runs in the background ignore SIGINT, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def start(*command: str, directory: Path | None = None, environment: Mapping[str, str] | None = None) -> Process:
    """Start a program in its own process group and capture its output. The caller must stop it."""
    return Process(
        await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_interruptible,
        )
    )


@asynccontextmanager
async def running(
    command: Sequence[str], *, directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """The program, stopped at the end."""
    process = await start(*command, directory=directory, environment=environment)
    try:
        yield process
    finally:
        await process.stop()


@contextmanager
def unaccepting_port() -> Iterator[int]:
    """A port whose backlog is full: connecting to it is neither accepted nor refused (Linux)."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        try:
            yield listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()
