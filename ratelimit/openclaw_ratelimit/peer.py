"""The interface between a link and the parts that it keeps in step with the storage."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from openclaw_ratelimit.script import Script

Argument = str | int | float | bytes

Ask = Callable[[Script, Sequence[str], Sequence[Argument]], Awaitable[Any]]
"""Run a script with these keys and arguments; its reply. Raises StorageUnavailable."""


class Peer(Protocol):
    """A part whose state the link keeps in step with the storage."""

    @property
    def behind(self) -> bool:
        """Whether this instance has decisions that the storage does not have yet."""
        ...

    async def join(self, ask: Ask) -> None:
        """Bring both sides in step. The storage is reachable (again) and may be another one than before."""
        ...

    async def catch_up(self, ask: Ask) -> None:
        """Send the storage the decisions that it does not have yet."""
        ...

    async def hear(self, message: bytes) -> None:
        """Apply a message of another instance or of this one. Ignore those of other peers.

        Raises StorageUnavailable when messages were lost; the link then reconnects and calls `join`.
        """
        ...

    async def beat(self, ask: Ask) -> None:
        """Compare both sides at each heartbeat. Raises StorageUnavailable when they differ, to reconnect."""
        ...


def ignore_outcome(answer: "asyncio.Future[Any]") -> None:
    """A callback for answers that nobody waits for, so that asyncio does not report their errors."""
    if not answer.cancelled():
        answer.exception()
