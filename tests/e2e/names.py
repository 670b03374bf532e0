"""A name server for one name, like Docker's for a service: the current addresses of its containers."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_A = 1  # the type of IPv4 addresses, RFC 1035 §3.2.2
_ANSWERED = 0x8180  # a response, recursion available, no error
_TTL = 1  # seconds


class Names(asyncio.DatagramProtocol):
    """Answers every question for IPv4 addresses with `addresses`, which may change at any time."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.port = 0
        self._transport: Any = None  # a DatagramTransport, but not everywhere a subclass of it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5  # the name, its final zero, type and class
        (kind,) = struct.unpack_from("!H", data, end - 4)
        addresses = self.addresses if kind == _A else []
        head = data[:2] + struct.pack("!5H", _ANSWERED, 1, len(addresses), 0, 0)
        # Each record names the question's name by its place in the message.
        records = [struct.pack("!HHHIH", 0xC00C, _A, 1, _TTL, 4) + socket.inet_aton(address) for address in addresses]
        self._transport.sendto(head + data[12:end] + b"".join(records), peer)


@asynccontextmanager
async def name_server() -> AsyncIterator[Names]:
    """A name server on this machine."""
    transport, names = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    try:
        yield names
    finally:
        transport.close()
