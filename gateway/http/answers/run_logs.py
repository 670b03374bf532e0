"""Writes the logs of this process's background runs to the store, and deletes those for which there is no room."""

import asyncio
from collections.abc import Callable

from gateway.core.errors import Unavailable
from gateway.core.jsonio import loads
from gateway.http.answers.background_entry import end_entry, head_entry
from gateway.http.answers.background_job import Job
from gateway.http.answers.event_budget import EventBudget, RunEvents
from gateway.http.answers.response_recorder import store_ended
from gateway.state.events.store import EventLog, LeaseState


class RunLogs:
    """The logs in `events`, within `budget`. `max_unwritten` are the bytes of a run that may wait for the store;
    `retry` are the seconds between two attempts to store an end.
    """

    def __init__(self, events: EventLog, budget: EventBudget, *, max_unwritten: int, retry: float) -> None:
        self._events = events
        self._budget = budget
        self._max_unwritten = max_unwritten
        self._retry = retry
        self._deleted = asyncio.Event()

    async def begin(self, job: Job) -> None:
        """Take the lease of a run, and write the head of its log. Raises Unavailable."""
        await self._events.begin(job.name)
        head = head_entry(sealed=job.sealed)
        job.waiting.append(head)
        job.unwritten += len(head)
        await self.write(job)

    async def add(self, job: Job, counted: RunEvents, size: int) -> None:
        """Count `size` bytes that the job has added. Returns when it may add more.

        Raises OversizedRun and EventsFull if the run is to be cut off.
        """
        self._budget.grow(counted, size)
        while job.unwritten > self._max_unwritten:
            job.written.clear()
            await job.written.wait()
        while not self._budget.has_room(counted):
            self._deleted.clear()
            await self._deleted.wait()

    def is_due(self, job: Job) -> bool:
        """Whether there is something to write or to delete."""
        return bool(job.waiting or self._budget.evicted)

    async def write(self, job: Job) -> LeaseState:
        """Write the waiting entries and renew the lease. Raises Unavailable; nothing is lost then."""
        await self.evict()
        ready = tuple(job.waiting)
        lease = await self._events.add(job.name, job.number, ready)
        job.number += len(ready)
        del job.waiting[: len(ready)]
        job.unwritten -= sum(map(len, ready))
        job.written.set()
        return lease

    async def evict(self) -> None:
        """Delete the logs for which there is no room. Raises Unavailable."""
        evicted = self._budget.evicted
        while evicted:
            name = evicted.pop()
            try:
                await self._events.delete(name)
            except Unavailable:
                evicted.append(name)
                raise
            self._budget.deleted(name)
            self._deleted.set()

    async def end(self, job: Job, max_wait: Callable[[], float]) -> bool:
        """Store the response and its last entries, retrying for `max_wait` seconds, which may change meanwhile.

        Returns False if another instance has already ended the run, or if the store stayed unavailable.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            try:
                return await self._close(job)
            except Unavailable:
                if clock() - started >= max_wait():
                    return False
                await asyncio.sleep(self._retry)

    def release(self, counted: RunEvents) -> None:
        """The run has ended: its log stays until there is no room, or is deleted."""
        self._budget.end(counted)
        self._deleted.set()

    async def _close(self, job: Job) -> bool:
        """One attempt of `end`. The response is stored first, so that a client that sees the end can continue it.

        Raises Unavailable.
        """
        *others, end = job.waiting or [b""]
        if await self._events.add(job.name, job.number, others) == "lost":
            return False
        job.number, job.waiting = job.number + len(others), [end]
        store, response = job.storage.store, job.final
        if store is not None and response is not None:
            stored = await store_ended(store, job.storage.record, response, job.messages())
            job.waiting = [end_entry(loads(stored.body)["status"])]
        if job.cut_off is not None:
            await self._events.delete(job.name)
            return True
        return await self._events.add(job.name, job.number, job.waiting, last=True) != "lost"
