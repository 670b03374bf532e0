"""What a link and its users know of each other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from openclaw_ratelimit.script import Script

Argument = str | int | float | bytes

Ask = Callable[[Script, Sequence[str], Sequence[Argument]], Awaitable[Any]]
"""Run a script with these keys and arguments; its reply. Raises StorageUnavailable."""


class Peer(Protocol):
    """A user of the link that keeps something in step with the storage."""

    @property
    def behind(self) -> bool:
        """Whether something was decided here that the storage does not know yet."""
        ...

    async def join(self, ask: Ask) -> None:
        """The storage can be reached, perhaps another one than before: bring both sides in step."""
        ...

    async def catch_up(self, ask: Ask) -> None:
        """Send the storage what was decided here since."""
        ...

    async def hear(self, message: bytes) -> None:
        """A message of another instance, of this one, or of another peer, which must be ignored.

        Raises StorageUnavailable when messages were lost, so that both sides join anew.
        """
        ...

    async def beat(self, ask: Ask) -> None:
        """At each heartbeat. Raises StorageUnavailable when both sides are out of step, so that they join anew."""
        ...


def ignore_outcome(answer: "asyncio.Future[Any]") -> None:
    """A callback for answers that nobody waits for, so that asyncio does not report their errors."""
    if not answer.cancelled():
        answer.exception()
