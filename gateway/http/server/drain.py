"""How far a process is on its way out, for all who have to know. How it gets there: `shutdown`."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.core.errors import Unavailable


@dataclass(slots=True)
class Drain:
    """How far this process is on its way out. `begun`: it wants no more requests, but serves those that come.
    `shut`: no connection is accepted any more. `over`: handlers that are still at work have been cancelled.
    `elsewhere` says how much work goes on that no connection waits for.
    """

    begun: bool = False
    shut: bool = False
    over: bool = False
    elsewhere: list[Callable[[], int]] = field(default_factory=list)

    def refusal(self, request: web.Request) -> Unavailable | None:
        """What to tell the caller of a handler that has just been cancelled; None when the drain is not the reason.

        Takes the cancellation back, so that the answer can be written.
        """
        if not self.over or request.transport is None:
            return None
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return Unavailable("The gateway is stopping and can't wait any longer for this answer. Send the request again.")

    def end_connection(self, response: web.StreamResponse, transport: asyncio.Transport | None) -> None:
        """To be called before the last write of a response whose headers left before the drain began: once the process
        is shut, its connection ends with it, or a proxy could go on asking on it for as long as streams last.

        The end travels in the same packet as the last bytes (Linux), so that no proxy takes the connection for idle in
        between and loses a request on it.
        """
        if not self.shut:
            return
        response.force_close()
        if transport is not None and hasattr(socket, "TCP_CORK"):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
