"""Hedging: while a candidate is silent, the next one starts in parallel; the first event wins, the loser is aborted.

Off unless `gateway.retry.hedgeAfterMs` is set, because it can double what an answer costs.
"""

import asyncio
from collections.abc import Callable

from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.runs.attempt import CANCELLED, Attempt
from gateway.runs.attempts import Attempts
from gateway.runs.candidate_cooldown import Entry
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Cooldowns
from gateway.runs.failover import RULES
from gateway.runs.retry_policy import RetryPolicy
from gateway.runs.trace import RunTrace
from gateway.upstream.client import AnswerFilter, ProviderAnswer


class HedgingAttempts(Attempts):
    """Attempts that can run two candidates in parallel until one of them sends its first event."""

    __slots__ = ("_second",)

    def __init__(
        self,
        candidates: tuple[Candidate, ...],
        policy: RetryPolicy,
        cooldowns: Cooldowns,
        trace: RunTrace,
        end: float,
        *,
        part: bool = False,
        turn: Turn | None = None,
    ) -> None:
        super().__init__(candidates, policy, cooldowns, trace, end, part=part, turn=turn)
        self._second: tuple[Candidate, Entry, Attempt] | None = None

    @property
    def hedge_after(self) -> float | None:
        """Seconds of silence after which a second model starts; None without another model."""
        return self._policy.hedge_after if self.has_fallback else None

    @property
    def has_third(self) -> bool:
        """Whether a third model remains besides the two in parallel."""
        return len({str(one.ref) for one in self._cursor.remaining}) > 2

    def start_second(self) -> Candidate | None:
        """Begin an attempt at another model in parallel; None if no other model can be asked."""
        current, trace = self._cursor.current, self._trace
        for candidate in self._cursor.remaining[1:]:
            if candidate.ref == current.ref:
                continue
            entry = self._cooldowns.enter(candidate.unit, trace)
            if entry is not Entry.COOLING:
                first = trace.current
                self._second = candidate, entry, trace.begin(candidate.ref, candidate.provider.key_id, 0.0)
                trace.current = first
                return candidate
        return None

    def meter_second(self) -> tuple[AnswerFilter, ...]:
        """See `meter`, for the second attempt."""
        if self._turn is None or self._second is None:
            return ()
        attempt = self._second[2]
        attempt.streamed = True
        return (attempt,) if attempt.capture is None else self._captured(attempt, attempt.capture)

    def decide(self, *, second: bool) -> None:
        """One of the two sent its first event; the other attempt ends. `second` says which one won."""
        if self._second is None:
            return
        if second:
            self._swap()
        self._end_second()

    def lost(self, failure: UpstreamError, *, second: bool) -> None:
        """One of the two failed; the other one continues alone. `second` says which one failed."""
        if not second:
            self._swap()
        if self._second is None:
            raise AssertionError("there is no second attempt")
        candidate, entry, attempt = self._second
        self._second = None
        current, mine = self._trace.current, self._entry
        self._trace.current, self._entry = attempt, entry
        self._trace.end(failure.kind.value, failure.upstream_status, failure.log_message)
        self._give_up(candidate, failure, RULES[failure.kind], in_time=self._policy.clock() < self.end)
        self._trace.current, self._entry = current, mine
        self._cursor = self._cursor.without(candidate)

    def close(self) -> None:
        """See Attempts."""
        self._end_second()
        super().close()

    def _swap(self) -> None:
        """Make the second attempt the current one."""
        if self._second is None or self._trace.current is None:
            raise AssertionError("there is no second attempt")
        candidate, entry, attempt = self._second
        self._second = self._cursor.current, self._entry, self._trace.current
        self._cursor = self._cursor.moved_to(candidate)
        self._asked, self._entry, self._trace.current = candidate, entry, attempt

    def _end_second(self) -> None:
        if self._second is None:
            return
        candidate, entry, attempt = self._second
        self._second = None
        current, self._trace.current = self._trace.current, attempt
        self._trace.end(CANCELLED, None)
        self._trace.current = current
        if entry is Entry.PROBE:
            self._cooldowns.abandoned(candidate.unit)


class HedgedAnswer:
    """A ProviderAnswer: the one of two candidates that sends its first event first. `ask` starts the second."""

    def __init__(
        self, first: ProviderAnswer, attempts: HedgingAttempts, after: float, ask: Callable[[Candidate], ProviderAnswer]
    ) -> None:
        self._after = after
        self._answer = first
        self._ask = ask
        self._attempts = attempts
        self._decided = False

    @property
    def over(self) -> bool:
        """See ProviderAnswer."""
        return self._answer.over

    @property
    def choice_in_words(self) -> bool:
        """See ProviderAnswer."""
        return self._answer.choice_in_words

    async def read(self) -> Batch:
        """See ProviderAnswer."""
        if self._decided:
            return await self._answer.read()
        self._decided = True
        return await self._race()

    def end(self) -> None:
        """See ProviderAnswer."""
        self._answer.end()

    async def _race(self) -> Batch:
        """The first batch of the winner. Raises the last failure if both fail."""
        first = self._answer
        running = {asyncio.create_task(first.read(), name="first candidate"): first}
        try:
            await asyncio.wait(running, timeout=self._after)
            if not any(task.done() for task in running) and (candidate := self._attempts.start_second()) is not None:
                second = self._ask(candidate)
                running[asyncio.create_task(second.read(), name="second candidate")] = second
            while True:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._answer = running.pop(task)
                    error = task.exception()
                    if error is None:
                        self._attempts.decide(second=self._answer is not first)
                        self._answer.adopt()
                        return task.result()
                    if not isinstance(error, UpstreamError) or not running:
                        raise error
                    self._attempts.lost(error, second=self._answer is not first)
                    self._answer.end()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for answer in running.values():
                answer.end()
