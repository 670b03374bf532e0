"""Runs a program and connects its standard input and output to the SDK's streams: one message per line.

The SDK's own transport accepts lines of any length, and its time grows with the square of the length.
"""

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream, Process
from mcp import StdioServerParameters
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from gateway.tools.bounded_reader import MAX_MESSAGE_BYTES
from gateway.tools.stdio_message import read_line

_POLL_INTERVAL = 0.01  # seconds

_CONNECTION_ERRORS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class LineTooLong(Exception):
    """The program wrote a line that is longer than a message may be."""


@asynccontextmanager
async def stdio_streams(server: StdioServerParameters, grace: float = 2.0) -> AsyncIterator[tuple[Any, Any]]:
    """Start the program. It has ended when the context exits. Raises OSError, LineTooLong.

    The program has `grace` seconds to exit after its input closes, and `grace` seconds after SIGTERM.
    """
    env = get_default_environment() | (server.env or {})
    command = [server.command, *server.args]
    process = await anyio.open_process(
        [*_exit_with_parent(server.command, env), *command],
        env=env,
        cwd=server.cwd,
        stderr=None,
        start_new_session=True,
    )
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with to_session, from_server, to_server, from_session, anyio.create_task_group() as tasks:
            tasks.start_soon(_read, process, to_session)
            tasks.start_soon(_write, process, from_session, to_session)
            yield from_server, to_server
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, grace)


def _exit_with_parent(command: str, env: dict[str, str]) -> Sequence[str]:
    """A command prefix that makes Linux end the program if the gateway is killed: not every program exits when its
    input closes.

    Empty if the command does not exist, so that the error names the command and not the prefix.
    """
    if sys.platform != "linux" or shutil.which(command, path=env.get("PATH")) is None:
        return ()
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "TERM", "--")


async def _read(process: Process, to_session: ObjectSendStream[SessionMessage | Exception]) -> None:
    if process.stdout is None:
        raise AssertionError("a program started without a pipe")
    line = bytearray()
    async with to_session:
        with suppress(*_CONNECTION_ERRORS):
            async for chunk in process.stdout:
                searched = len(line)
                line += chunk
                while (end := line.find(b"\n", searched)) >= 0:
                    for message in read_line(bytes(line[:end])):
                        await to_session.send(message)
                    del line[: end + 1]
                    searched = 0
                if len(line) > MAX_MESSAGE_BYTES:
                    raise LineTooLong(f"the program wrote a line of more than {MAX_MESSAGE_BYTES} bytes")


async def _write(
    process: Process, from_session: ObjectReceiveStream[SessionMessage], to_session: ObjectSendStream[Any]
) -> None:
    if process.stdin is None:
        raise AssertionError("a program started without a pipe")
    try:
        async with from_session:
            async for item in from_session:
                await process.stdin.send(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode())
                await process.stdin.send(b"\n")
    except _CONNECTION_ERRORS:
        await to_session.aclose()  # the program reads no more, so it answers no call


async def _end(process: Process, grace: float) -> None:
    """Close the program's input, then send SIGTERM to its process group, then SIGKILL. Takes at most four `grace`."""
    if process.stdin is not None:
        with suppress(*_CONNECTION_ERRORS):
            await process.stdin.aclose()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, process)
        if not await _ended(process, grace):
            _signal(process, signal.SIGTERM)
            await _ended(process, grace)
        _signal(process, signal.SIGKILL)
        # A process that has left the group may still hold the pipe open.
        tasks.cancel_scope.deadline = anyio.current_time() + grace
    with anyio.move_on_after(grace):
        await process.wait()


async def _drain(process: Process) -> None:
    """Read the remaining output: a process blocked on a full pipe never exits."""
    if process.stdout is not None:
        with suppress(*_CONNECTION_ERRORS):
            async for _ in process.stdout:
                pass


async def _ended(process: Process, within: float) -> bool:
    """Whether the program exits within this time. `Process.wait` would also wait until its pipes close."""
    with anyio.move_on_after(within):
        while process.returncode is None:  # noqa: ASYNC110  no event reports the exit without waiting for the pipes
            await anyio.sleep(_POLL_INTERVAL)
    return process.returncode is not None


def _signal(process: Process, number: signal.Signals) -> None:
    """Send the signal to the program's process group, which it leads."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
