"""Passes released locks to the other gateways of this machine while Redis, which passes them otherwise, is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from gateway.access.lockout import Lockout
from gateway.access.release_spool import ReleaseSpool
from gateway.observe.repeated_step import RepeatedStep

log = structlog.get_logger(__name__)

_INTERVAL = 0.4  # seconds between two looks: a release must hold everywhere within one


class ReleaseSync:
    """Writes what `lockout` releases while `is_away` into the spool, and applies what others have written.

    A process looks at its start, too: then a release outlives the process that was asked.
    """

    def __init__(self, lockout: Lockout, spool: ReleaseSpool, is_away: Callable[[], bool]) -> None:
        self._lockout = lockout
        self.spool = spool
        self._is_away = is_away
        lockout.announce = self._announce

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for releases until the end."""
        task = asyncio.create_task(self._run(), name="releases of locks")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _announce(self, key: str) -> None:
        if not self._is_away():
            return
        try:
            await asyncio.to_thread(self.spool.write, key)
        except OSError as error:
            log.warning("Other gateways on this machine can't read of a released lock", reason=str(error))

    async def _run(self) -> None:
        step = RepeatedStep("read released locks")
        while True:
            with step.run():
                for release in await asyncio.to_thread(self.spool.read):
                    self._lockout.release_as_of(release.key, release.age)
            await asyncio.sleep(_INTERVAL)
