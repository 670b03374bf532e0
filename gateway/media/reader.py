"""Reads untrusted documents in child processes, a few at a time."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process

import structlog

from gateway.core.child_process import child_environment, python_command
from gateway.media.document import Document, ReadTask, Unreadable
from gateway.media.fair_queue import FairQueue

log = structlog.get_logger(__name__)

_MODULE = "gateway.media.reading_process"
_MAX_PROCESSES = 3  # at the same time; each may take some hundred megabytes
_MAX_PER_CALLER = 2
_TIMEOUT = 20.0  # seconds for one document, including the start of its process
_MAX_OUTPUT_BYTES = 64 * 2**20  # four compressed pages of four million pixels are smaller


class DocumentReader:
    """Reads documents. `command` starts the reading process. `timeout` is in seconds and applies to one document."""

    def __init__(self, command: tuple[str, ...] = python_command(_MODULE), *, timeout: float = _TIMEOUT) -> None:
        self._command = command
        self._timeout = timeout
        self._queue = FairQueue(_MAX_PROCESSES, _MAX_PER_CALLER)

    async def read(self, task: ReadTask, data: bytes, *, caller: str = "") -> Document:
        """Read one document. Raises Unreadable, and Overloaded if too many documents wait. Cancelling this coroutine
        kills the process. `caller` identifies the waiting caller.
        """
        async with self._queue.slot(caller):
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=2**20, env=child_environment()
            )
            try:
                async with asyncio.timeout(self._timeout):
                    output = await _exchange(process, task.to_line() + data)
                    status = await process.wait()
            except TimeoutError:
                log.warning("Reading a document timed out", mime=task.mime, bytes=len(data), limit_s=self._timeout)
                raise Unreadable("it takes too long to read") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if status != 0 or len(output) > _MAX_OUTPUT_BYTES:
            log.warning("Reading a document failed", mime=task.mime, bytes=len(data), status=status)
            raise Unreadable("it is broken, or needs too much time or memory to read")
        return Document.from_json(output)


async def _exchange(process: Process, data: bytes) -> bytes:
    """Write the input and return the output, at most slightly more than its limit."""
    writer, reader = process.stdin, process.stdout
    if writer is None or reader is None:
        raise AssertionError("the process was started with pipes")
    try:
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        return b""  # the process ended early; its status says why
    output = bytearray()
    while len(output) <= _MAX_OUTPUT_BYTES and (piece := await reader.read(2**20)):
        output += piece
    return bytes(output)
