"""A started program's standard input and output, as the streams that the SDK takes: one message a line.

The SDK's own transport gathers a line of any length, at a price that grows with the square of it.
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
from mcp_types import jsonrpc_message_adapter

from gateway.tools.incoming import LARGEST

_POLL = 0.01

_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class LineTooLong(Exception):
    """The program wrote more than a message may have without ending the line."""


@asynccontextmanager
async def stdio_streams(server: StdioServerParameters, grace: float = 2.0) -> AsyncIterator[tuple[Any, Any]]:
    """Start the program; it has ended when this is left. Raises OSError, LineTooLong.

    It has `grace` seconds to end after its input was closed, and again after it was asked to.
    """
    env = get_default_environment() | (server.env or {})
    command = [server.command, *server.args]
    process = await anyio.open_process(
        [*_bound_to_us(server.command, env), *command], env=env, cwd=server.cwd, stderr=None, start_new_session=True
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


def _bound_to_us(command: str, env: dict[str, str]) -> Sequence[str]:
    """What in front of a command asks Linux to end the program with us, were we killed: not all notice their input end.

    Not in front of what is not there, so that it is the command that is named as missing.
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
        with suppress(*_LOST):
            async for chunk in process.stdout:
                seen = len(line)
                line += chunk
                while (end := line.find(b"\n", seen)) >= 0:
                    await to_session.send(_message(bytes(line[:end])))
                    del line[: end + 1]
                    seen = 0
                if len(line) > LARGEST:
                    raise LineTooLong(f"more than {LARGEST} bytes without the end of a line")


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:  # a program may print what is no message; the SDK passes over it
        return error


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
    except _LOST:
        await to_session.aclose()  # it no longer listens, so nothing that is asked will be answered


async def _end(process: Process, grace: float) -> None:
    """Close its input, then ask it and all that it started to end, then make them; four times `grace` at most."""
    if process.stdin is not None:
        with suppress(*_LOST):
            await process.stdin.aclose()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, process)
        if not await _ended(process, grace):
            _signal(process, signal.SIGTERM)
            await _ended(process, grace)
        _signal(process, signal.SIGKILL)
        # The pipe ends with the last who holds it, perhaps one that has left the group.
        tasks.cancel_scope.deadline = anyio.current_time() + grace
    with anyio.move_on_after(grace):
        await process.wait()


async def _drain(process: Process) -> None:
    """Take what it still writes: who is kept from writing does not come to its end."""
    if process.stdout is not None:
        with suppress(*_LOST):
            async for _ in process.stdout:
                pass


async def _ended(process: Process, within: float) -> bool:
    """Whether it has ended by then. Not by `wait`, which waits for the ends of the pipes, too."""
    with anyio.move_on_after(within):
        while process.returncode is None:  # noqa: ASYNC110  nothing says so at once without waiting for the pipes
            await anyio.sleep(_POLL)
    return process.returncode is not None


def _signal(process: Process, number: signal.Signals) -> None:
    """To it and all that it started, as far as they are still there: it leads a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
