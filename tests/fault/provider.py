"""A provider that follows a script byte for byte and records its requests.

It speaks HTTP by hand, because what is tested is what no HTTP library would send.
"""

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Call:
    """One request, and the connection on which it is answered."""

    def __init__(self, at: float, head: bytes, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.at = at
        self.head = head.decode("latin-1")
        self.body = body
        self.left = asyncio.Event()
        """The gateway closed the connection; `left_at` is the time."""
        self.left_at = 0.0
        self._writer = writer

    @property
    def streams(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.body.get("stream"))

    @property
    def key(self) -> str:
        """The credential of the request."""
        return re.findall(r"(?i)\r\nauthorization: Bearer (\S*)", self.head)[0]

    async def send(self, data: bytes) -> None:
        """Write these bytes and wait until they are sent. Raises ConnectionError once the gateway has disconnected."""
        if self._writer.is_closing():  # uvloop would raise RuntimeError
            raise ConnectionResetError("the gateway has disconnected")
        self._writer.write(data)
        await self._writer.drain()

    def finish(self) -> None:
        """Close the connection normally: earlier writes arrive."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        if self._writer.is_closing():  # the gateway has closed it
            return
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Act = Callable[[Call], Awaitable[None]]


@dataclass
class Model:
    """One model: its act for each attempt (the last one repeats), and its requests."""

    acts: list[Act]
    calls: list[Call] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def gaps(self) -> list[float]:
        """Seconds from each request to the next."""
        return [later.at - earlier.at for earlier, later in zip(self.calls, self.calls[1:], strict=False)]


class FaultProvider:
    """Serves every model of `models`, chosen by the request's `model`; `url` ends with `/v1`."""

    def __init__(self) -> None:
        self.url = ""
        self.models: dict[str, Model] = {}
        self.connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.StreamWriter] = set()
        self._ended: set[asyncio.StreamWriter] = set()

    def model(self, name: str, *acts: Act) -> Model:
        """Set the acts of a model from now on."""
        self.models[name] = Model(list(acts))
        return self.models[name]

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["FaultProvider"]:
        """Listen until the end of the block."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls, limit=2**24)
        port = server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{port}/v1"
        try:
            yield self
        finally:
            server.close()
            for writer in self.connections:
                writer.transport.abort()
            await asyncio.gather(*self._tasks)

    async def end_kept_connections(self) -> None:
        """Close idle connections, and busy ones after their answer; wait until the gateway has closed its side."""
        async with asyncio.timeout(10):
            while self._tasks:
                for writer in self.connections - self._busy - self._ended:
                    self._ended.add(writer)
                    if not writer.is_closing():
                        with suppress(OSError):  # the gateway has just closed it
                            writer.write_eof()
                await asyncio.wait(self._tasks, timeout=0.01)
        self._ended.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections.add(writer)
        try:
            while await self._serve(reader, writer):
                self._busy.discard(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway closed the connection
        finally:
            self.connections.discard(writer)
            self._busy.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Returns whether the connection can be reused."""
        head = await reader.readuntil(b"\r\n\r\n")
        if writer in self._ended:
            return False  # it crossed the end of the connection, which nobody serves any more
        self._busy.add(writer)
        length = _LENGTH.search(head)
        assert length is not None
        body = json.loads(await reader.readexactly(int(length[1])))
        loop = asyncio.get_running_loop()
        call = Call(loop.time(), head, body, writer)
        model = self.models[body["model"]]
        model.calls.append(call)
        model.arrived.set()
        act = model.acts[min(len(model.calls), len(model.acts)) - 1]
        acting = loop.create_task(act(call))  # type: ignore[arg-type]
        # The gateway sends nothing before the answer is complete, so the end of a read means that it disconnected.
        leaving = loop.create_task(reader.read(1))
        try:
            await asyncio.wait({acting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not acting.done() and not writer.is_closing():
                call.left_at = loop.time()
                call.left.set()
                return False
            await acting
        finally:
            acting.cancel()
            leaving.cancel()
            await asyncio.gather(acting, leaving, return_exceptions=True)
        return not writer.is_closing()
