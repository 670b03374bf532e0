"""Runs that nobody waits for: each a task of this process, whose events any instance can read while it goes on.

The event log is the truth: its last event holds the response. A worker that is silent for longer than its lease counts
as dead, and whoever looks next ends its run as failed.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web

from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.jsonio import loads
from gateway.core.message import Message
from gateway.http.answers.response_recorder import Storage, store_ended
from gateway.http.metering import Meter
from gateway.runs.answer_stream import AnswerStream
from gateway.state.events.store import EventLog, LeaseState
from gateway.wire.framing.sse import DONE
from gateway.wire.openai_responses.stream import Renderer, end_frame

log = structlog.get_logger(__name__)

_STOPPING = "The gateway is stopping and can't wait any longer for this answer. Send the request again."


@dataclass(frozen=True, slots=True)
class BackgroundPolicy:
    """Seconds: `flush` between two writes of events, `sign` between signs of life; `memory` that the end of a run waits
    for a store that is away, `patience` if the gateway stops meanwhile. `most` are the runs at work at the same time:
    no connection holds their number down.
    """

    flush: float = 0.2
    sign: float = 3.0
    memory: float = 3600.0
    patience: float = 10.0
    most: int = 1000


@dataclass(slots=True)
class Job:
    """One run on its way; `number` is that of the first event in `waiting`. `ended`: nothing more will be told."""

    run: AnswerStream
    renderer: Renderer
    storage: Storage
    meter: Meter | None = None
    number: int = 0
    ended: bool = False
    waiting: list[bytes] = field(default_factory=list)
    answer: Accumulator = field(default_factory=Accumulator)

    @property
    def name(self) -> str:
        """The response's id."""
        return self.storage.record.id

    def messages(self) -> tuple[Message, ...]:
        """What the conversation goes on with; none unless the answer is complete."""
        if not self.answer.finished:
            return ()
        answer = self.answer.answer()
        return *answer.tool_work, *answer.messages()

    def tell(self, frames: bytes) -> None:
        """Queue frames for the log, where each is an event of its own; the end of the stream is none."""
        self.waiting += (frame + b"\n\n" for frame in frames.removesuffix(DONE).split(b"\n\n")[:-1])


class BackgroundRuns:
    """Owns the tasks; `close` ends those that still run."""

    def __init__(self, events: EventLog, policy: BackgroundPolicy | None = None) -> None:
        self._events = events
        self._policy = policy or BackgroundPolicy()
        self._jobs: dict[asyncio.Task[None], Job] = {}
        self._closing = False

    def count(self) -> int:
        """How many are at work."""
        return len(self._jobs)

    def check(self) -> None:
        """Raises Unavailable if no run can be begun."""
        if self._closing:
            raise Unavailable(_STOPPING)
        if len(self._jobs) >= self._policy.most:
            raise Unavailable("Too many runs are at work in the background. Try again when some have ended.")

    async def start(self, job: Job) -> None:
        """Begin a run; its first events are in the log when this returns. Raises Unavailable."""
        self.check()
        await self._events.begin(job.name)
        job.tell(job.renderer.open())
        await self._write(job)
        task = asyncio.create_task(self._work(job), name=job.name)
        self._jobs[task] = job
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Tell what still runs as failed, and wait for that."""
        self._closing = True
        for task, job in self._jobs.items():
            if not job.ended:
                task.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._jobs[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run in the background failed", response=task.get_name(), exc_info=error)

    async def _work(self, job: Job) -> None:
        pump = asyncio.create_task(_pump(job))
        standing: LeaseState = "held"
        try:
            standing = await self._follow(job, pump)
        except asyncio.CancelledError:
            await _ended(pump)
            if job.renderer.final is None:
                job.tell(job.renderer.fail(Unavailable(_STOPPING)))
        except Exception:  # whatever it was, nobody waits for it: who asks later is told that there is no answer
            log.exception("a run in the background failed", response=job.name)
            job.tell(job.renderer.fail(GatewayError("internal error")))
        finally:
            await _ended(pump)
            if job.meter is not None:
                await job.meter.settle()
        if standing == "cancelled" and job.renderer.final is None:
            job.tell(job.renderer.cancel())
        job.ended = True
        if standing == "lost" or not await self._end(job):
            log.warning("a run in the background was given up: others have ended it", response=job.name)

    async def _follow(self, job: Job, pump: "asyncio.Task[None]") -> LeaseState:
        """Write what is told until its end, or until the run is cancelled or lost."""
        clock = asyncio.get_running_loop().time
        signed = clock()
        while not pump.done():
            await asyncio.wait({pump}, timeout=self._policy.flush)
            if pump.done():
                break
            if job.waiting or clock() - signed >= self._policy.sign:
                try:
                    standing = await self._write(job)
                except Unavailable:
                    continue  # nothing is lost: what waits is written with the next
                signed = clock()
                if standing != "held":
                    return standing
        pump.result()
        return "held"

    async def _write(self, job: Job) -> LeaseState:
        ready = tuple(job.waiting)
        standing = await self._events.add(job.name, job.number, ready)
        job.number += len(ready)
        del job.waiting[: len(ready)]
        return standing

    async def _end(self, job: Job) -> bool:
        """Keep the response and write the last events, in the time that there is; whether they were ours to write."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            try:
                return await self._close(job)
            except Unavailable:
                if clock() - begun >= (self._policy.patience if self._closing else self._policy.memory):
                    return False
                await asyncio.sleep(self._policy.flush)

    async def _close(self, job: Job) -> bool:
        """The same at once. Raises Unavailable. It is kept first, so that whoever is told the end can go on from it."""
        *others, end = job.waiting
        if await self._events.add(job.name, job.number, others) == "lost":
            return False
        job.number, job.waiting = job.number + len(others), [end]
        store, response = job.storage.store, job.renderer.final
        if store is not None and response is not None:
            whole = await store_ended(store, job.storage.record, response, job.messages())
            kept: dict[str, Any] = loads(whole.body)
            if kept["status"] != response["status"]:
                job.waiting = [end_frame(kept, job.number)]
        return await self._events.add(job.name, job.number, job.waiting, last=True) != "lost"


BACKGROUND = web.AppKey("background", BackgroundRuns)


async def _pump(job: Job) -> None:
    """The whole run, told to the job; a failure is told as well."""
    try:
        async with aclosing(job.run.events()) as batches:
            async for batch in batches:
                job.answer.add(batch)
                job.tell(job.renderer.feed(batch))
    except GatewayError as error:
        log.warning("a run in the background failed", response=job.name, type=error.type, reason=error.message)
        job.tell(job.renderer.fail(error))
    else:
        job.tell(job.renderer.close())


async def _ended(task: "asyncio.Task[None]") -> None:
    """The task is over, cancelled if it had to be. What it raised is for `result` to say."""
    task.cancel()
    await asyncio.wait({task})
