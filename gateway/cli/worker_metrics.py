"""The metrics of several workers: each sends its own to the parent over a socket pair and gets those of all.

A frame is its length and a message. A worker sends one every second, so that the parent has what it counted if it dies,
and one for each scrape, which the parent answers. Nothing is written to files.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping

import msgspec
import structlog

from gateway.metrics.catalog import FAMILIES
from gateway.metrics.merge import Merged
from gateway.metrics.registry import Snapshot
from gateway.monitoring import OtherProcesses, Source
from gateway.observe.repeated_step import RepeatedStep

log = structlog.get_logger(__name__)

_VARIABLE = "OPENCLAW_WORKER_METRICS_FD"  # names a worker's end of the pair
_PUSH_INTERVAL = 1.0  # seconds
_TIMEOUT = 5.0  # seconds for an answer of the parent
_LENGTH = struct.Struct("!I")


class _Message(msgspec.Struct):
    """What a worker sends; `asks` for the sum of all."""

    snapshot: Snapshot
    asks: bool


_MESSAGES = msgspec.msgpack.Decoder(_Message)
_SNAPSHOTS = msgspec.msgpack.Decoder(Snapshot)
_ENCODER = msgspec.msgpack.Encoder()


class MetricsHub:
    """In the parent: the metrics of all workers, those that have ended too."""

    def __init__(self) -> None:
        self._merged = Merged(FAMILIES)
        self._count = 0
        self._readers: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def joining(self, environment: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
        """A new worker's file descriptor, which its process inherits, and its environment. It ends with its process."""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            self._count += 1
            reader = asyncio.create_task(self._read(self._count, ours), name=f"metrics of worker process {self._count}")
            self._readers.add(reader)
            reader.add_done_callback(self._ended)
            yield theirs.fileno(), {**environment, _VARIABLE: str(theirs.fileno())}

    async def close(self) -> None:
        """Stop listening to workers."""
        readers = list(self._readers)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    def _ended(self, reader: "asyncio.Task[None]") -> None:
        self._readers.discard(reader)
        if not reader.cancelled() and (error := reader.exception()) is not None:
            log.error("The metrics of a worker can't be read", exc_info=error)

    async def _read(self, process: int, ours: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            while True:
                message = _MESSAGES.decode(await _receive(reader))
                self._merged.put(process, message.snapshot)
                if message.asks:
                    _send(writer, _ENCODER.encode(self._merged.snapshot()))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the worker has ended
        finally:
            self._merged.end(process)
            writer.close()


class ParentMetrics:
    """In a worker: sends its metrics to the parent. See OtherProcesses."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._writer: asyncio.StreamWriter | None = None
        # The scrapes that wait for an answer, which come in this order; one that was given up is still in it.
        self._waiting: deque[asyncio.Future[bytes]] = deque()

    @contextlib.asynccontextmanager
    async def sharing(self, own: Source) -> AsyncIterator[None]:
        """Send this process's metrics until the end, and once more then."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        pushing = asyncio.create_task(self._push(own), name="send metrics to the parent")
        answers = asyncio.create_task(self._read(reader), name="receive the metrics of all workers")
        try:
            yield
        finally:
            pushing.cancel()
            answers.cancel()
            await asyncio.wait({pushing, answers})
            with contextlib.suppress(ConnectionError):
                await self._put(own(), asks=False)
            self._writer.close()

    async def total(self, own: Snapshot) -> Snapshot:
        """The metrics of all. Raises TimeoutError, ConnectionError or EOFError if the parent does not answer."""
        answer = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(_TIMEOUT):
            await self._put(own, asks=True, answer=answer)
            return _SNAPSHOTS.decode(await answer)

    async def _push(self, own: Source) -> None:
        step = RepeatedStep("send metrics to the parent")
        while True:
            await asyncio.sleep(_PUSH_INTERVAL)
            with step.run():
                try:
                    await self._put(own(), asks=False)
                except ConnectionError:
                    log.warning("Metrics can't be sent to the parent")
                    return

    async def _put(self, snapshot: Snapshot, *, asks: bool, answer: "asyncio.Future[bytes] | None" = None) -> None:
        if self._writer is None or self._writer.is_closing():
            raise ConnectionError("the parent is not connected")
        _send(self._writer, _ENCODER.encode(_Message(snapshot, asks)))
        if answer is not None:
            self._waiting.append(answer)
        await self._writer.drain()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Give each answer to the scrape that it is for."""
        try:
            while True:
                data = await _receive(reader)
                if not (answer := self._waiting.popleft()).done():
                    answer.set_result(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            log.warning("The parent has closed the connection for metrics")
        finally:
            if self._writer is not None:
                self._writer.close()
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(ConnectionError("the parent is not connected"))
                    answer.exception()  # its scrape may not have come to wait for it


def parent_metrics(environment: Mapping[str, str]) -> OtherProcesses | None:
    """The parent that this process was started by; None without one."""
    descriptor = environment.get(_VARIABLE)
    if descriptor is None:
        return None
    os.set_inheritable(int(descriptor), False)  # not for tool servers
    return ParentMetrics(int(descriptor))


def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(_LENGTH.pack(len(data)) + data)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)
