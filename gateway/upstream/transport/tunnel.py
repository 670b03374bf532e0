"""A tunnel through an HTTP proxy (RFC 9110 §9.3.6): the exchange that opens it."""

import asyncio
from typing import cast

from gateway.upstream.transport.errors import CannotConnect
from gateway.upstream.transport.route import Proxy

_MAX_HEAD = 2**14  # bytes
_HEAD_END = b"\r\n\r\n"


class Tunnel(asyncio.Protocol):
    """The protocol of a connection to a proxy, until the tunnel to `host` is open."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._proxy = proxy
        self._head = b""
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Wait until the proxy has opened the tunnel. Raises CannotConnect with what it answered."""
        await self._ended
        head = self._head
        status = head.partition(b"\r\n")[0].split(b" ", 2)[1:2]
        if status == [b"407"]:
            raise CannotConnect(f"can't be reached: {self._proxy.label} wants a login that it accepts (status 407)")
        # The server behind the tunnel does not speak first, so nothing follows the head.
        if not head.endswith(_HEAD_END) or status != [b"200"]:
            answered = f"answered with status {status[0].decode('latin-1')[:3]}" if status else "gave no answer"
            raise CannotConnect(f"can't be reached: {self._proxy.label} {answered}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection to the proxy is open."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """A part of the proxy's answer."""
        self._head += data
        if _HEAD_END in self._head or len(self._head) > _MAX_HEAD:
            self._end()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The proxy has closed the connection."""
        self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
