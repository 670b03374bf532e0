"""Background runs. Each is a task of this process; every instance can read its events while it runs.

The event log is authoritative: its last entry records how the run ended. A worker that does not renew its lease counts
as dead, and the next reader ends its run as failed.
"""

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from gateway.core.errors import GatewayError, Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.background_job import Job
from gateway.http.answers.event_budget import EventBudget, EventLimits, EventsFull, OversizedRun, RunEvents
from gateway.http.answers.run_logs import RunLogs
from gateway.state.events.store import EventLog, LeaseState

log = structlog.get_logger(__name__)

_STOPPING = "The gateway is stopping and can't wait any longer for this answer. Send the request again."


@dataclass(frozen=True, slots=True)
class BackgroundPolicy:
    """`flush`: seconds between writes of events. `heartbeat`: seconds between renewals of the lease. `store_timeout`:
    seconds that the end of a run waits for an unavailable store, `shutdown_timeout` the same while the gateway stops.
    `max_runs`: the maximum of concurrent runs, which no connection limits; one caller may have three quarters of them.
    `max_unwritten`: bytes of events that wait
    for the store; then the run waits.
    """

    flush: float = 0.2
    heartbeat: float = 3.0
    store_timeout: float = 3600.0
    shutdown_timeout: float = 10.0
    max_runs: int = 1000
    max_unwritten: int = 4 * 2**20


class BackgroundRuns:
    """Owns the tasks of background runs; `close` ends them."""

    def __init__(
        self, events: EventLog, policy: BackgroundPolicy | None = None, limits: EventLimits | None = None
    ) -> None:
        self._policy = policy = policy or BackgroundPolicy()
        self._budget = budget = EventBudget(limits or EventLimits())
        self._logs = RunLogs(events, budget, max_unwritten=policy.max_unwritten, retry=policy.flush)
        self._jobs: dict[asyncio.Task[None], Job] = {}
        self._by_caller: Counter[str] = Counter()  # runs, also those whose head is being written
        self._closing = False

    def count(self) -> int:
        """The number of running jobs."""
        return len(self._jobs)

    def check(self, caller: str) -> None:
        """Raise Unavailable if no run of this caller can start."""
        if self._closing:
            raise Unavailable(_STOPPING)
        if self._by_caller.total() >= self._policy.max_runs:
            raise Unavailable("Too many background runs. Try again when some have ended.")
        if self._by_caller[caller] >= max(1, self._policy.max_runs * 3 // 4):
            raise Unavailable("You have too many background runs. Try again when some have ended.")

    async def start(self, job: Job) -> None:
        """Start a run. The log contains its head entry when this returns. Raises Unavailable."""
        self.check(job.caller)
        self._by_caller[job.caller] += 1
        try:
            await self._logs.begin(job)
        except BaseException:
            self._forget(job)
            raise
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

    def _forget(self, job: Job) -> None:
        self._by_caller[job.caller] -= 1
        if not self._by_caller[job.caller]:
            del self._by_caller[job.caller]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._forget(self._jobs.pop(task))
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
            if lease == "lost" or not await self._logs.end(job, self._max_wait):
                log.warning("A background run was abandoned: another instance ended it", response=job.name)
        finally:
            self._logs.release(counted)

    def _max_wait(self) -> float:
        return self._policy.shutdown_timeout if self._closing else self._policy.store_timeout

    async def _pump(self, job: Job, counted: RunEvents) -> None:
        """Read the whole run into the job, and close the job."""
        try:
            async with aclosing(job.run.events()) as batches:
                async for batch in batches:
                    await self._logs.add(job, counted, job.add(batch))
        except (OversizedRun, EventsFull) as error:
            log.warning("A background run was cut off", response=job.name, reason=error.message)
            drop_tracebacks(error)
            job.end_cut_off(error)
        except GatewayError as error:
            log.warning("A background run failed", response=job.name, type=error.type, reason=error.log_message)
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
                if self._logs.is_due(job) or clock() - renewed >= self._policy.heartbeat:
                    try:
                        lease = await self._logs.write(job)
                    except Unavailable:
                        continue  # nothing is lost: the next write includes the waiting entries
                    renewed = clock()
                    if lease != "held":
                        return lease
        finally:
            await _cancel(cancelled)
        pump.result()
        return "held"


BACKGROUND = web.AppKey("background", BackgroundRuns)


async def _cancel(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end; its exception stays in the task."""
    task.cancel()
    await asyncio.wait({task})
