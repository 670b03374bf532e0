"""The bytes of events that background runs may store: per run, per caller, and in all of this process.

A run counts from its first event until its log is deleted or has expired. Without room, the log that ended first is
deleted; if none has ended, the largest running run is cut off. `gateway.http.answers.run_logs` deletes the logs, and
`background` ends the runs. Until a log is deleted, growing runs wait: see `has_room`.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gateway.core.errors import GatewayError, Overloaded
from gateway.state.events.store import EventPolicy

_RETRY_AFTER = 60  # seconds


class OversizedRun(GatewayError):
    """The events of one run exceed the limit of one response."""

    def __init__(self) -> None:
        super().__init__("The answer is too large to be stored (`gateway.state.maxResponseBytes`).")


class EventsFull(Overloaded):
    """The runs of one caller, or of all callers, have too many events together."""

    def __init__(self) -> None:
        super().__init__(
            "The background runs of this caller, or of all callers, have too many events together. Send the request "
            "again when some have ended.",
            _RETRY_AFTER,
        )


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Bytes of events: of one run, of one caller's runs, and of all runs of this process. `overhead` is what a log
    takes beside its events, in the store and here.
    """

    run: int = 16 * 2**20
    caller: int = 24 * 2**20
    total: int = 48 * 2**20
    overhead: int = 512

    @classmethod
    def of(cls, run: int) -> Self:
        """The limits for responses of at most `run` bytes."""
        return cls(run, run * 3 // 2, run * 3)


@dataclass(eq=False, slots=True)
class RunEvents:
    """The events of one run: their `size` in bytes, and how to cut the run off, None once it has ended."""

    name: str
    caller: str
    cut: Callable[[GatewayError], None] | None
    size: int = 0


class EventBudget:
    """Counts the events of this process's background runs. `evicted` are the names of logs to delete.

    The store deletes a log `retention` seconds after its end; `clock` counts seconds.
    """

    def __init__(
        self,
        limits: EventLimits,
        *,
        retention: float = EventPolicy().retention,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.evicted: list[str] = []
        self._limits = limits
        self._retention = retention
        self._clock = clock
        self._running: dict[RunEvents, None] = {}
        self._ended: dict[RunEvents, float] = {}  # with the time of their ends, in this order
        self._leaving: dict[str, RunEvents] = {}  # evicted and cut off, but their logs are not deleted yet
        self._by_caller: Counter[str] = Counter()
        self._total = 0

    def begin(self, name: str, caller: str, cut: Callable[[GatewayError], None]) -> RunEvents:
        """Count the events of a new run. `cut` ends the run with an error; its log must then be deleted."""
        self._forget_expired()
        run = RunEvents(name, caller, cut)
        self._running[run] = None
        return run

    def grow(self, run: RunEvents, size: int) -> None:
        """Add events. Raises OversizedRun or EventsFull if this run is the one to cut off."""
        if run not in self._running:
            return  # it has been cut off
        limits, caller = self._limits, run.caller
        if not run.size:
            size += limits.overhead
        run.size += size
        self._count(run, size)
        if run.size > limits.run + limits.overhead:
            del self._running[run]
            self._evict(run)
            raise OversizedRun
        while self._by_caller[caller] > limits.caller:
            self._make_room(run, caller)
        while self._total > limits.total:
            self._make_room(run, None)

    def has_room(self, run: RunEvents) -> bool:
        """Whether the run may grow: what must be deleted for it is deleted."""
        if not self._leaving:
            return True
        everybody = sum(one.size for one in self._leaving.values())
        caller = sum(one.size for one in self._leaving.values() if one.caller == run.caller)
        limits = self._limits
        return self._by_caller[run.caller] + caller <= limits.caller and self._total + everybody <= limits.total

    def deleted(self, name: str) -> None:
        """The log of an evicted run is deleted."""
        self._leaving.pop(name, None)

    def end(self, run: RunEvents) -> None:
        """The run has ended. Its log stays until there is no room; that of a run that was cut off is deleted."""
        if run not in self._running:
            self.deleted(run.name)
            return
        del self._running[run]
        run.cut = None
        if run.size:
            self._ended[run] = self._clock()

    def _make_room(self, growing: RunEvents, caller: str | None) -> None:
        """Free the bytes of one run: of this caller, or of anybody."""
        ended = next((run for run in self._ended if caller in (None, run.caller)), None)
        if ended is not None:
            del self._ended[ended]
            self._evict(ended)
            self.evicted.append(ended.name)
            return
        running = [run for run in self._running if caller in (None, run.caller)]
        largest = max(running, key=lambda run: (run.size, run is growing))
        del self._running[largest]
        self._evict(largest)
        if largest is growing:
            raise EventsFull
        if largest.cut is not None:
            largest.cut(EventsFull())

    def _forget_expired(self) -> None:
        """Forget the logs that the store has deleted."""
        expired = self._clock() - self._retention
        while self._ended:
            run, ended = next(iter(self._ended.items()))
            if ended > expired:
                break
            del self._ended[run]
            self._count(run, -run.size)

    def _evict(self, run: RunEvents) -> None:
        self._count(run, -run.size)
        self._leaving[run.name] = run

    def _count(self, run: RunEvents, size: int) -> None:
        self._total += size
        self._by_caller[run.caller] += size
        if not self._by_caller[run.caller]:
            del self._by_caller[run.caller]
