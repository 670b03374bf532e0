"""The attempts of one run: who is asked next after a failure, and how long is waited before.

Retries are spaced by exponential back-off with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), a provider's own hint goes first, and one
deadline holds for everything. What a failure means was decided in `gateway.upstream.failure`.
"""

import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from gateway.core.errors import GatewayError
from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Cooldowns, Entry
from gateway.runs.trace import ANSWERED, CANCELLED, RunTrace

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Faults of the request, or of a name in it: they say nothing about how the candidate is.
_OF_THE_REQUEST = UpstreamError.FINAL | {UpstreamKind.NOT_FOUND, UpstreamKind.CONTEXT_OVERFLOW}
# Another key of the same provider may do better at once.
_OF_THE_KEY = frozenset({UpstreamKind.RATE_LIMITED, UpstreamKind.AUTH, UpstreamKind.BILLING})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries` of one model at most, the first after up to `backoff` seconds, doubling up to `longest`.

    A `Retry-After` of up to `patience` seconds is waited for, and a rest of all candidates likewise; `random` gives
    numbers from 0 to 1, `sleep` waits.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    retries: int = 2
    backoff: float = 0.5
    longest: float = 8.0
    patience: float = 60.0


class Attempts:
    """One answer's. `first`, then `after` each failure, then `succeeded`; `close` in every case.

    With `part` the answer is a part of a run, whose end is `close_run` for whoever began it.
    """

    __slots__ = (
        "_asked",
        "_circuits",
        "_entry",
        "_part",
        "_policy",
        "_queue",
        "_ref",
        "_resting",
        "_retries",
        "_stalled",
        "_trail",
        "end",
    )

    def __init__(
        self,
        candidates: list[Candidate],
        policy: RetryPolicy,
        circuits: Cooldowns,
        trail: RunTrace,
        end: float,
        *,
        part: bool = False,
    ) -> None:
        self.end = end
        self._part = part
        self._policy = policy
        self._circuits = circuits
        self._trail = trail
        self._queue = candidates
        self._resting: list[Candidate] = []
        self._asked: Candidate | None = None
        self._entry = Entry.FREE
        self._ref: ModelRef | None = None
        self._retries = 0
        self._stalled = False

    async def ask(self, call: Callable[[Candidate], Awaitable[T]]) -> T:
        """The first whole answer that `call` gets from a candidate. Raises what the last one said."""
        try:
            candidate = await self.first()
            while True:
                try:
                    answer = await call(candidate)
                except UpstreamError as error:
                    failure = error
                else:
                    self.succeeded()
                    return answer
                candidate = await self.after(failure)
        finally:
            self.close()

    async def first(self) -> Candidate:
        """The candidate to ask. Raises UpstreamError when all of them rest."""
        return await self._next(None, 0.0)

    async def after(self, failure: UpstreamError, *, begun: bool = False, final: bool = False) -> Candidate:
        """The candidate to ask after this failure, once it is time to. Raises the failure when nothing is left to try.

        `begun` says that the answer broke off half-way: who stalled there is asked again, after everybody else. `final`
        says that nothing may be tried any more.
        """
        failed = self._queue[0]
        now = self._policy.clock()
        self._failed(failed, failure, begun=begun, in_time=now < self.end)
        if final or not failure.failover or now >= self.end:
            raise failure
        if failure.kind in _OF_THE_KEY and len(self._queue) > 1 and self._queue[1].ref == failed.ref:
            del self._queue[0]
            return await self._next(failure, 0.0)
        pause = self._pause(failure)
        if failure.retryable and self._retries > 0 and self._worth(failure) and now + pause < self.end:
            self._retries -= 1
            await self._policy.sleep(pause)
            return await self._next(failure, pause)
        self._queue = [candidate for candidate in self._queue if candidate.ref != failed.ref]
        if begun and failure.kind is UpstreamKind.TIMEOUT and not self._stalled:
            self._stalled = True
            self._queue.append(failed)
        return await self._next(failure, 0.0)

    def begun(self) -> None:
        """The first event has come: who was on probation is back."""
        if self._entry is Entry.PROBE and self._asked is not None:
            self._entry = Entry.FREE
            self._circuits.answered(self._asked.name)

    def succeeded(self) -> None:
        """The answer is complete."""
        if self._asked is not None and not self._circuits.quiet:
            self._circuits.succeeded(self._asked.name)
        self._asked = None
        self._trail.end(ANSWERED, 200)

    def close(self) -> None:
        """The answer has ended; called while what ended it, if anything, is on its way up."""
        if self._asked is not None:
            if self._entry is Entry.PROBE:
                self._circuits.left(self._asked.name)
            self._trail.end(CANCELLED, None)
        if not self._part:
            close_run(self._trail)

    async def _next(self, failure: UpstreamError | None, waited: float) -> Candidate:
        while self._queue:
            candidate = self._queue[0]
            self._entry = Entry.FREE if self._circuits.quiet else self._circuits.enter(candidate.name)
            if self._entry is not Entry.RESTING:
                return self._begin(candidate, waited)
            self._resting.append(self._queue.pop(0))
        if not self._resting:
            raise failure or AssertionError("a run without candidates")
        return await self._after_rest(failure, waited)

    async def _after_rest(self, failure: UpstreamError | None, waited: float) -> Candidate:
        """All that are left rest: wait for the first of them, once, and make one attempt."""
        circuits, clock = self._circuits, self._policy.clock
        candidate = min(self._resting, key=lambda one: circuits.ends(one.name))
        self._resting.clear()
        self._queue, started = [candidate], clock()
        if not circuits.is_permanent(candidate.name):
            patience = min(self._policy.patience, self.end - started)
            self._entry = await circuits.wait(candidate.name, patience, self._policy.sleep)
        if self._entry is Entry.RESTING:
            raise failure or circuits.refusal(candidate.name)
        self._begin(candidate, waited + clock() - started)
        self._retries = 0
        return candidate

    def _begin(self, candidate: Candidate, waited: float) -> Candidate:
        if candidate.ref is not self._ref:
            self._ref, self._retries = candidate.ref, self._policy.retries
        self._asked = candidate
        self._trail.begin(candidate.ref, candidate.provider.key_id, waited)
        return candidate

    def _failed(self, candidate: Candidate, failure: UpstreamError, *, begun: bool, in_time: bool) -> None:
        self._asked = None
        self._trail.end(failure.kind.value, failure.upstream_status)
        if failure.kind in _OF_THE_REQUEST or not failure.failover:
            if self._entry is Entry.PROBE:
                self._circuits.answered(candidate.name)
        elif in_time:
            at_once = not (failure.retryable or begun) or not self._worth(failure)
            self._circuits.failed(candidate.name, failure, self._entry, at_once=at_once)
        elif self._entry is Entry.PROBE:
            self._circuits.left(candidate.name)  # our own deadline ended it

    def _worth(self, failure: UpstreamError) -> bool:
        """Whether the provider's hint is short enough to be waited for."""
        return (failure.retry_after or 0.0) <= self._policy.patience

    def _pause(self, failure: UpstreamError) -> float:
        policy = self._policy
        ceiling = min(policy.longest, policy.backoff * 2.0 ** (policy.retries - self._retries))
        return (failure.retry_after or 0.0) + policy.random() * ceiling


def close_run(trail: RunTrace) -> None:
    """A run has ended; called while what ended it, if anything, is on its way up. One log line for what is unusual."""
    ending = sys.exception()
    trail.close(_outcome(ending))
    if isinstance(ending, GatewayError):
        log.warning("run", **trail.as_dict())
    elif ending is not None or len(trail.attempts) > 1:
        log.info("run", **trail.as_dict())
    elif log.is_enabled_for(logging.DEBUG):  # a line costs a fifth of what a small answer does
        log.debug("run", **trail.as_dict())


def _outcome(ending: BaseException | None) -> str:
    match ending:
        case None:
            return ANSWERED
        case UpstreamError(kind=kind):
            return kind.value
        case GatewayError(type=kind):
            return kind
        case Exception():
            return "error"
        case _:
            return CANCELLED
