"""Background runs. Each is a task of this process; every instance can read its events while it runs.

The event log is authoritative: its last entry records how the run ended. A worker that does not renew its lease counts
as dead, and the next reader ends its run as failed.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web

from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.event import Batch
from gateway.core.event_json import write_batch
from gateway.core.jsonio import loads
from gateway.core.message import Message
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.background_entry import end_entry, head_entry
from gateway.http.answers.event_budget import EventBudget, EventLimits, EventsFull, OversizedRun, RunEvents
from gateway.http.answers.response_recorder import Storage, store_ended
from gateway.http.large_bodies import BodyReservation
from gateway.http.metering import Meter
from gateway.runs.answer_stream import AnswerStream
from gateway.state.events.store import EventLog, LeaseState
from gateway.wire.openai_responses.stream import Renderer

log = structlog.get_logger(__name__)

_STOPPING = "The gateway is stopping and can't wait any longer for this answer. Send the request again."


@dataclass(frozen=True, slots=True)
class BackgroundPolicy:
    """`flush`: seconds between writes of events. `heartbeat`: seconds between renewals of the lease. `store_timeout`:
    seconds that the end of a run waits for an unavailable store, `shutdown_timeout` the same while the gateway stops.
    `max_runs`: the maximum of concurrent runs, which no connection limits. `max_unwritten`: bytes of events that wait
    for the store; then the run waits.
    """

    flush: float = 0.2
    heartbeat: float = 3.0
    store_timeout: float = 3600.0
    shutdown_timeout: float = 10.0
    max_runs: int = 1000
    max_unwritten: int = 4 * 2**20


@dataclass(slots=True)
class Job:
    """One background run. `waiting` are entries to write, `unwritten` their bytes, `number` the number of the first of
    them, `final` the response at the end. `ended`: no more entries will be added. `cut_off` is the error of a run whose
    events were too many; its log is deleted.
    """

    run: AnswerStream
    renderer: Renderer
    storage: Storage
    sealed: bool = False
    caller: str = ""
    meter: Meter | None = None
    body: BodyReservation | None = None
    number: int = 0
    ended: bool = False
    waiting: list[bytes] = field(default_factory=list)
    answer: Accumulator = field(default_factory=Accumulator)
    final: dict[str, Any] | None = None
    unwritten: int = 0
    cut_off: GatewayError | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The response's id."""
        return self.storage.record.id

    def messages(self) -> tuple[Message, ...]:
        """The messages that continue the conversation; none unless the answer is complete."""
        if not self.answer.finished:
            return ()
        answer = self.answer.answer()
        return *answer.tool_work, *answer.messages()

    def add(self, batch: Batch) -> int:
        """Add a batch of the answer and return its bytes in the log. Raises UpstreamError for what the client's format
        can't express.
        """
        self.renderer.frames(batch)
        self.answer.add(batch)
        entry = write_batch(batch)
        self.waiting.append(entry)
        self.unwritten += len(entry)
        return len(entry)

    def cut(self, error: GatewayError) -> None:
        """End the run with this error, and without the part of its answer: that was too large."""
        self.cut_off = error
        self.cancelled.set()

    def end_cut_off(self, error: GatewayError) -> None:
        """Close the job of a run that was cut off."""
        self.cut_off = error
        self.close({**self.renderer.failure(error), "output": ()})
        self.waiting.clear()
        self.answer = Accumulator()

    def close(self, response: dict[str, Any]) -> None:
        """End the run with this response."""
        self.final = response
        self.waiting.append(end_entry(response["status"]))


class BackgroundRuns:
    """Owns the tasks of background runs; `close` ends them."""

    def __init__(
        self, events: EventLog, policy: BackgroundPolicy | None = None, limits: EventLimits | None = None
    ) -> None:
        self._budget = EventBudget(limits or EventLimits())
        self._events = events
        self._policy = policy or BackgroundPolicy()
        self._jobs: dict[asyncio.Task[None], Job] = {}
        self._closing = False

    def count(self) -> int:
        """The number of running jobs."""
        return len(self._jobs)

    def check(self) -> None:
        """Raise Unavailable if no run can start."""
        if self._closing:
            raise Unavailable(_STOPPING)
        if len(self._jobs) >= self._policy.max_runs:
            raise Unavailable("Too many background runs. Try again when some have ended.")

    async def start(self, job: Job) -> None:
        """Start a run. The log contains its head entry when this returns. Raises Unavailable."""
        self.check()
        await self._events.begin(job.name)
        job.waiting.append(head_entry(sealed=job.sealed))
        await self._write(job)
        task = asyncio.create_task(self._work(job), name=job.name)
        self._jobs[task] = job
        task.add_done_callback(self._done)

    def cancel(self, name: str) -> None:
        """Cancel a run of this process at once; the log notifies other instances."""
        for job in self._jobs.values():
            if job.name == name:
                job.cancelled.set()

    async def close(self) -> None:
        """End all running jobs as failed, and wait for them."""
        self._closing = True
        for task, job in self._jobs.items():
            if not job.ended:
                task.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._jobs[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A background run failed", response=task.get_name(), exc_info=error)

    async def _work(self, job: Job) -> None:
        counted = self._budget.begin(job.name, job.caller, job.cut)
        pump = asyncio.create_task(self._pump(job, counted))
        lease: LeaseState = "held"
        try:
            lease = await self._follow(job, pump)
        except asyncio.CancelledError:
            await _cancel(pump)
            if job.final is None:
                job.close(job.renderer.failure(Unavailable(_STOPPING)))
        except Exception:  # no caller waits for this task: later readers get a failed response
            log.exception("A background run failed", response=job.name)
            job.close(job.renderer.failure(GatewayError("internal error")))
        finally:
            await _cancel(pump)
            if job.body is not None:
                job.body.release()
            if job.meter is not None:
                await job.meter.settle()
        if lease == "cancelled" and job.final is None:
            if job.cut_off is not None:
                job.end_cut_off(job.cut_off)
            else:
                job.close(job.renderer.cancellation())
        job.ended = True
        try:
            if lease == "lost" or not await self._end(job):
                log.warning("A background run was abandoned: another instance ended it", response=job.name)
        finally:
            self._budget.end(counted)

    async def _pump(self, job: Job, counted: RunEvents) -> None:
        """Read the whole run into the job, and close the job."""
        try:
            async with aclosing(job.run.events()) as batches:
                async for batch in batches:
                    self._budget.grow(counted, job.add(batch))
                    while job.unwritten > self._policy.max_unwritten:
                        job.written.clear()
                        await job.written.wait()
        except (OversizedRun, EventsFull) as error:
            log.warning("A background run was cut off", response=job.name, reason=error.message)
            drop_tracebacks(error)
            job.end_cut_off(error)
        except GatewayError as error:
            log.warning("A background run failed", response=job.name, type=error.type, reason=error.message)
            drop_tracebacks(error)
            job.close(job.renderer.failure(error))
        else:
            job.close(job.renderer.outcome())

    async def _follow(self, job: Job, pump: "asyncio.Task[None]") -> LeaseState:
        """Write events to the log until the run ends, or is cancelled or lost."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        cancelled = asyncio.create_task(job.cancelled.wait())
        try:
            while not pump.done():
                await asyncio.wait({pump, cancelled}, timeout=self._policy.flush, return_when=asyncio.FIRST_COMPLETED)
                if pump.done():
                    break
                if cancelled.done():
                    return "cancelled"
                if job.waiting or clock() - renewed >= self._policy.heartbeat:
                    try:
                        lease = await self._write(job)
                    except Unavailable:
                        continue  # nothing is lost: the next write includes the waiting entries
                    renewed = clock()
                    if lease != "held":
                        return lease
        finally:
            await _cancel(cancelled)
        pump.result()
        return "held"

    async def _write(self, job: Job) -> LeaseState:
        await self._evict()
        ready = tuple(job.waiting)
        lease = await self._events.add(job.name, job.number, ready)
        job.number += len(ready)
        del job.waiting[: len(ready)]
        job.unwritten -= sum(map(len, ready))
        job.written.set()
        return lease

    async def _evict(self) -> None:
        """Delete the logs for which there is no room. Raises Unavailable."""
        evicted = self._budget.evicted
        while evicted:
            name = evicted.pop()
            try:
                await self._events.delete(name)
            except Unavailable:
                evicted.append(name)
                raise

    async def _end(self, job: Job) -> bool:
        """Store the response and its last entries, retrying until the deadline. Returns False if another instance has
        already ended the run.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            try:
                return await self._close(job)
            except Unavailable:
                policy = self._policy
                if clock() - started >= (policy.shutdown_timeout if self._closing else policy.store_timeout):
                    return False
                await asyncio.sleep(policy.flush)

    async def _close(self, job: Job) -> bool:
        """One attempt of `_end`. The response is stored first, so that a client that sees the end can continue it.

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


BACKGROUND = web.AppKey("background", BackgroundRuns)


async def _cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end; its exception stays in the task."""
    task.cancel()
    await asyncio.wait({task})
