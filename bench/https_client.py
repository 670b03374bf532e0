"""A cheap HTTPS/1.1 client: it costs a tenth of a general one, so that the load leaves the cores to the gateway."""

import asyncio
import re
import ssl
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"  # can't occur inside the JSON of an event, where line breaks are escaped


class HttpsClient:
    """Requests to one server of this machine. `head_lines` are the header lines that all of them have."""

    def __init__(self, port: int, trust: ssl.SSLContext, head_lines: str) -> None:
        self._port = port
        self._trust = trust
        self._head_lines = head_lines
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, *, fresh: bool) -> tuple[int, bytes]:
        """Status and body as they came, chunks included. `fresh`: on a new connection, with a handshake, that is
        closed afterwards. Raises ConnectionError if the connection ends before the answer, and OSError.
        """
        close = "Connection: close\r\n" if fresh else ""
        head = f"POST {path} HTTP/1.1\r\n{self._head_lines}{close}Content-Length: {len(body)}\r\n\r\n"
        connection = None if fresh else self._kept()
        if connection is None:
            connection = await self._connect()
        reusable = False
        try:
            status, answer, reusable = await connection.exchange(head.encode() + body)
        finally:
            if reusable and not fresh:
                self._idle.append(connection)
            else:
                connection.close()
        return status, answer

    def _kept(self) -> "_Connection | None":
        """An idle connection that the server has not closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            _Connection, "127.0.0.1", self._port, ssl=self._trust, server_hostname="127.0.0.1"
        )
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with one exchange at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body = self._end = 0  # `_end` is -1 for chunks
        self.reusable = True
        self._answer: asyncio.Future[tuple[int, bytes, bool]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(f"ended after {len(self._buffer)} bytes ({exc})"))

    async def exchange(self, request: bytes) -> tuple[int, bytes, bool]:
        """Status, body, and whether the connection can be used again."""
        self._buffer.clear()
        self._body = self._end = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._body:
            head = buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            self._body = head + 4
            length = _LENGTH.search(buffer, 0, self._body)
            self._end = -1 if length is None else self._body + int(length[1])
            self.reusable = _CLOSING.search(buffer, 0, self._body) is None
        complete = buffer.endswith(_LAST_CHUNK) if self._end < 0 else len(buffer) >= self._end
        if complete and self._answer is not None and not self._answer.done():
            self._answer.set_result((int(buffer[9:12]), bytes(buffer[self._body :]), self.reusable))
