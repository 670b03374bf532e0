"""The event loop of the program: uvloop's, without its leftovers of abandoned connections."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvloop


class EventLoop(uvloop.Loop):
    """uvloop, which looks a name up before it connects, as asyncio does.

    uvloop's own `create_connection` leaves its lookup running when it is cancelled, for example by a timeout. If that
    lookup then fails, asyncio logs "Future exception was never retrieved" as an error.
    """

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        **options: Any,
    ) -> Any:
        """Connect to the first address of `host` that accepts. Returns transport and protocol. Raises OSError."""
        connect: Any = super().create_connection  # typed for no port at all
        if host is None:
            return await connect(protocol_factory, host, port, family=family, proto=proto, **options)
        results = await self.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags)
        if options.get("ssl"):
            options = options | {"server_hostname": options.get("server_hostname") or host}
        errors: list[OSError] = []
        for *_, address in results:
            try:
                return await connect(protocol_factory, address[0], port, proto=proto, **options)
            except OSError as error:
                errors.append(error)
        raise errors[0] if len(errors) == 1 else OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")
