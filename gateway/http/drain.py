"""How far a process is on its way out, for all who have to know. How it gets there: `shutdown`."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from gateway.core.errors import Unavailable


@dataclass(slots=True)
class Drain:
    """How far this process is on its way out. `begun`: it wants no more requests, but serves those that come.
    `over`: handlers that are still at work have been cancelled.
    """

    begun: bool = False
    over: bool = False

    def refusal(self, request: web.Request) -> Unavailable | None:
        """What to tell the caller of a handler that has just been cancelled; None when the drain is not the reason.

        Takes the cancellation back, so that the answer can be written.
        """
        if not self.over or request.transport is None:
            return None
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return Unavailable("The gateway is stopping and can't wait any longer for this answer. Send the request again.")
