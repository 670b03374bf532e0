"""Starts gateways that need not import everything again: a fork server, like that of `multiprocessing`.

`python -m gateway` spends most of a second on imports, and the tests start two hundred gateways. The server has the
modules and forks for each gateway; the child runs the same `main`. All else is as if it had been executed: a process
group of its own, its environment, output, signals and exit status. Only its parent is the server.

As a program, `python -m tests.fork_server FD`, it is the server; it ends when the other end of the socket is closed.
"""

import asyncio
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
IS_AVAILABLE = sys.platform == "linux"
_MAX_REQUEST = 2**17  # bytes
_PRELOADED = ("gateway.__main__", "gateway.cli.serve")
# What a module makes when it is imported and no two processes may have in common.
OF_A_PROCESS: dict[tuple[str, str], Callable[[], object]] = {
    ("gateway.http.instance_metrics", "_STARTED"): time.time,
    ("gateway.http.trace", "_PREFIX"): lambda: "req_" + secrets.token_hex(8),
    ("gateway.instance_sync", "_STARTED"): lambda: int(time.time()),
}


class ForkedProcess:
    """A forked gateway, with what `Process` uses of an `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, status: socket.socket, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader):
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._end = asyncio.create_task(self._wait_for_end(status), name=f"end of {pid}")

    async def wait(self) -> int:
        """Wait for its end. Returns the exit status, of a process that a signal has ended the negative signal."""
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it ends just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def _wait_for_end(self, status: socket.socket) -> int:
        with status:
            data = await asyncio.get_running_loop().sock_recv(status, 64)
        self.returncode = int(data) if data else -signal.SIGKILL  # the server itself was killed
        return self.returncode


class ForkServer:
    """The server of this test run, which starts with the first gateway."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *arguments: str, environment: Mapping[str, str]) -> ForkedProcess:
        """Start a gateway with these arguments."""
        control = self._control or self._open()
        (output, stdout), (errors, stderr) = os.pipe(), os.pipe()
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        status.setblocking(False)
        request = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
        assert len(request) < _MAX_REQUEST
        with theirs:
            socket.send_fds(control, [request], [stdout, stderr, theirs.fileno()])
        os.close(stdout)
        os.close(stderr)
        pid = int(await asyncio.get_running_loop().sock_recv(status, 64))
        return ForkedProcess(pid, status, await _reader(output), await _reader(errors))

    def close(self) -> None:
        """End the server."""
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None and process is not None:
            control.close()
            process.wait()

    def _open(self) -> socket.socket:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._control


SHARED = ForkServer()
"""That of a test run; `tests.conftest` closes it."""


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe))
    return reader


def _serve(control: socket.socket) -> None:
    """Fork for each request until the other end is closed. Returns in the children too, ready to run."""
    children: dict[int, socket.socket] = {}
    woken, wake = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 4096)
                _reap(children)
            if control.fileno() not in ready:
                continue
            request, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 3)
            if not request:
                sys.exit()
            stdout, stderr, status = descriptors
            if pid := os.fork():
                os.close(stdout)
                os.close(stderr)
                children[pid] = socket.socket(fileno=status)
                children[pid].send(str(pid).encode())
                continue
            break
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in (stdout, stderr, status, woken, wake):
        os.close(descriptor)
    for one in (control, *children.values()):
        one.close()
    for (module, name), make in OF_A_PROCESS.items():
        setattr(import_module(module), name, make())
    asked = json.loads(request)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[1:] = asked["arguments"]


def _reap(children: dict[int, socket.socket]) -> None:
    """Report the children that have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with children.pop(pid) as report, suppress(BrokenPipeError):  # nobody waits for it
            report.send(str(os.waitstatus_to_exitcode(status)).encode())


def main() -> None:
    """Serve; in a child, run the gateway as `python -m gateway` does."""
    control = socket.socket(fileno=int(sys.argv[1]))
    program, _ = (import_module(name) for name in _PRELOADED)
    _serve(control)
    sys.exit(program.main())


if __name__ == "__main__":
    main()
