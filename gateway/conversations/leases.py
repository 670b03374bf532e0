"""Leases of conversations: renewed while a request uses the conversation, and released exactly once in every ending.

A request that loses its lease is cancelled at once, because another request owns the conversation then.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from gateway.core.errors import GatewayError, SessionChanged
from gateway.core.session_key import SessionKey
from gateway.state.sessions.store import Lease, SessionStore

log = structlog.get_logger(__name__)


class Leases:
    """The leases of one store. `renew` is the pause between renewals in seconds."""

    def __init__(self, store: SessionStore, *, renew: float) -> None:
        self.store = store
        self.renew = renew
        self.waiting = 0
        """Turns that wait for an earlier one of their conversation, or for the store."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def acquire(self, key: SessionKey, wait: float) -> "HeldLease":
        """Acquire the lease of a conversation within `wait` seconds. Raises SessionBusy or Unavailable."""
        self.waiting += 1
        try:
            lease = await self.store.acquire(key, wait)
        finally:
            self.waiting -= 1
        return HeldLease(self, lease)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Start a task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep_renewing(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task that `close` cancels."""
        task = self.start(work, "renew the lease of a conversation")
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)
        if self._closed:
            task.cancel()
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("A task of a conversation failed", task=task.get_name(), reason=str(error))

    async def close(self) -> None:
        """Wait until every lease is released. A lease whose task was lost expires."""
        self._closed = True
        for task in self._renewals:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class HeldLease:
    """One lease. `entries` is the transcript at the time when the lease was acquired."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self.entries = lease.entries
        self._leases = leases
        self._lease: Lease | None = lease
        self._lost = False
        self._scope: asyncio.Timeout | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(leases.renew, self._start_renewing)

    @property
    def ended(self) -> bool:
        """Whether it was released."""
        return self._lease is None

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Cancel the body when the lease is lost. Raises SessionChanged then."""
        if self._lost:
            raise SessionChanged
        try:
            async with asyncio.timeout(None) as self._scope:
                yield
        except TimeoutError:
            if not self._lost:
                raise
            raise SessionChanged from None
        finally:
            self._scope = None

    async def end(self, entry: bytes | None) -> None:
        """Append the entry, if there is one, and release the lease. Cancelling this coroutine does not stop that.

        Raises SessionChanged or Unavailable.
        """
        await asyncio.shield(self._leases.start(self._end(entry), "release the lease of a conversation"))

    async def _end(self, entry: bytes | None) -> None:
        lease, self._lease = self._lease, None
        self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None  # the cancelled task holds a frame with this object
        if lease is None:
            return
        if entry is not None and not self._lost:
            await self._leases.store.append(lease, entry)
            return
        await self._leases.store.release(lease)
        if entry is not None:
            raise SessionChanged

    def _start_renewing(self) -> None:
        if self._lease is not None:
            self._renewing = self._leases.keep_renewing(self._renew(self._lease))

    async def _renew(self, lease: Lease) -> None:
        while True:
            try:
                if not await self._leases.store.renew(lease):
                    self._lose(lease)
                    return
            except GatewayError as error:
                log.warning("A conversation's lease could not be renewed", reason=error.message)
            await asyncio.sleep(self._leases.renew)

    def _lose(self, lease: Lease) -> None:
        if self._lease is None:
            return  # released while the renewal was on its way
        log.warning("A conversation's lease was lost", session=str(lease.key))
        self._lost = True
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())
