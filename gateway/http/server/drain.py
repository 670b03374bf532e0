"""The progress of a drain, for all modules that depend on it. `shutdown` performs the drain."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.core.errors import Unavailable


@dataclass(slots=True)
class Drain:
    """`started`: `/readyz` reports the drain, but the process still serves requests. `closed`: the process accepts no
    connections. `forced`: the remaining handlers have been cancelled. `background_jobs` are functions that count the
    jobs without a connection. `on_close` are called once the process is `closed`: they end connections that stay open
    between answers.
    """

    started: bool = False
    closed: bool = False
    forced: bool = False
    background_jobs: list[Callable[[], int]] = field(default_factory=list)
    on_close: set[Callable[[], None]] = field(default_factory=set)

    def close(self) -> None:
        """The process accepts no connections any more."""
        self.closed = True
        for end in tuple(self.on_close):
            end()

    def refusal(self, request: web.Request) -> Unavailable | None:
        """The error for the client of a cancelled handler. None if the drain is not the reason.

        Undoes the cancellation, so that the handler can send the error.
        """
        if not self.forced or request.transport is None:
            return None
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return Unavailable("The gateway is stopping and can't wait any longer for this answer. Send the request again.")

    def end_connection(self, response: web.StreamResponse, transport: asyncio.Transport | None) -> None:
        """Close the connection with this response, if the process no longer accepts connections. Call it before the
        last write of a response whose headers were sent before the drain started: else a proxy could send new requests
        on the connection.

        On Linux, the last bytes and the end of the connection leave in one packet. So no proxy takes the connection for
        idle in between and loses a request on it.
        """
        if not self.closed:
            return
        response.force_close()
        if transport is not None and hasattr(socket, "TCP_CORK"):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
