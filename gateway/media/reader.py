"""Reads documents of strangers in processes of their own, few at a time. What they say is the business of `files`."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import structlog

from gateway.media.document import Document, ReadTask, Unreadable

log = structlog.get_logger(__name__)

_MODULE = "gateway.media.reading_process"
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TZ")
"""Of our environment; the rest may hold keys, and a parser that was taken over would find them."""
_AT_ONCE = 2  # processes side by side; each may take some hundred megabytes
_LIMIT = 20.0  # seconds for one document, its process's start included
_MOST = 64 * 2**20  # bytes of an answer: four pages of four million pixels, compressed, are less


class DocumentReader:
    """Reads documents; `command` starts the reading process, `limit` seconds are what one document may take."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", _MODULE), *, limit: float = _LIMIT) -> None:
        self._command = command
        self._limit = limit
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def read(self, task: ReadTask, data: bytes) -> Document:
        """What the document says. Raises Unreadable; a caller that leaves ends the process."""
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=2**20, env=_environment()
            )
            try:
                async with asyncio.timeout(self._limit):
                    answer = await _converse(process, task.to_line() + data)
                    status = await process.wait()
            except TimeoutError:
                log.warning("a document took too long to read", mime=task.mime, bytes=len(data), limit_s=self._limit)
                raise Unreadable("it takes too long to read") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if status != 0 or len(answer) > _MOST:
            log.warning("reading a document failed", mime=task.mime, bytes=len(data), status=status)
            raise Unreadable("it is broken, or needs too much time or memory to read")
        return Document.from_json(answer)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


async def _converse(process: Process, question: bytes) -> bytes:
    writer, reader = process.stdin, process.stdout
    if writer is None or reader is None:
        raise AssertionError("a process that was started with pipes has none")
    try:
        writer.write(question)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        return b""  # it ended before it had read all; its status says why
    answer = bytearray()
    while len(answer) <= _MOST and (piece := await reader.read(2**20)):
        answer += piece
    return bytes(answer)
