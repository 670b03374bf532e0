"""A tunnel through an HTTP proxy (RFC 9110 §9.3.6), on a socket that is connected to the proxy."""

import asyncio
import socket

from gateway.upstream.transport.errors import CannotConnect
from gateway.upstream.transport.route import Proxy

_MAX_HEAD = 2**14  # bytes


async def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy for a tunnel to `host`. Raises CannotConnect with what the proxy answered."""
    loop = asyncio.get_running_loop()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode())
    head = b""
    # The server behind the tunnel does not speak first, so nothing follows the head.
    while not head.endswith(b"\r\n\r\n"):
        data = await loop.sock_recv(sock, _MAX_HEAD)
        head += data
        if not data or len(head) > _MAX_HEAD or (b"\r\n\r\n" in head and not head.endswith(b"\r\n\r\n")):
            break
    status = head.partition(b"\r\n")[0].split(b" ", 2)[1:2]
    if status == [b"407"]:
        raise CannotConnect(f"can't be reached: {_named(proxy)} wants a login that it accepts (status 407)")
    if not head.endswith(b"\r\n\r\n") or status != [b"200"]:
        answered = f"answered with status {status[0].decode('latin-1')[:3]}" if status else "gave no answer"
        raise CannotConnect(f"can't be reached: {_named(proxy)} {answered}")


def _named(proxy: Proxy) -> str:
    return f"the proxy {proxy.host}:{proxy.port}"
