"""Sends raw bytes to the gateway that no client library would send."""

import asyncio
import re

from tests.e2e.conftest import TOKEN

AUTH = f"Authorization: Bearer {TOKEN}\r\n"


async def exchange(gateway, *sent: bytes, to_the_end: bool = False) -> bytes:
    """Send these writes on a new connection. Returns one response, or all bytes until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        async with asyncio.timeout(10):
            for piece in sent:
                writer.write(piece)
                await writer.drain()
            if to_the_end:
                return await reader.read()
            answer = await reader.readuntil(b"\r\n\r\n")
            if answer.startswith(b"HTTP/1.1 100 "):
                answer += await reader.readuntil(b"\r\n\r\n")
            length = re.findall(rb"Content-Length: (\d+)", answer)
            return answer + await reader.readexactly(int(length[0]))
    finally:
        writer.close()


def head(line: str, *headers: str) -> bytes:
    """The head of a request with `Connection: close`."""
    return "\r\n".join([line, "Host: localhost", "Connection: close", *headers, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
