"""The attempts of one answer: which candidate to ask after a failure, and the pause before.

Retries use exponential backoff with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A provider's `Retry-After` is added to the
pause, and one deadline limits all attempts. The table in `gateway.runs.failover` defines what follows from each kind of
failure.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.core.tracebacks import drop_tracebacks
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.attempt import ANSWERED, CANCELLED, Attempt
from gateway.runs.attempt_capture import AttemptCapture
from gateway.runs.attempt_usage import estimate_missing
from gateway.runs.candidate_cooldown import Entry
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Cooldowns, Failure
from gateway.runs.failover import HINT_OPENS, KEY_KINDS, MAX_POSTS, RULES, THRESHOLDS, Cooldown, Cursor, Retry, Rule
from gateway.runs.observers import close_run
from gateway.runs.retry_policy import RetryPolicy
from gateway.runs.trace import RunTrace
from gateway.upstream.client import AnswerFilter

T = TypeVar("T")


class Attempts:
    """The attempts of one answer. Call `first`, then `after` for each failure, then `succeeded`; `close` in every case.

    With `part` the answer is one round of a run, and the code that began the run calls `close_run`. `end` is the
    deadline in clock time. With `turn` each attempt counts its usage, by an estimate if need be. `fresh` is True if the
    current attempt must use a new connection.
    """

    __slots__ = (
        "_asked", "_cooldowns", "_cursor", "_earlier", "_entry", "_part", "_policy", "_trace", "_turn",
        "end", "fresh",
    )  # fmt: skip

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
        self.end = end
        self.fresh = False
        self._asked: Candidate | None = None
        self._cooldowns = cooldowns
        self._cursor = Cursor(candidates)
        self._earlier = len(trace.attempts)  # those of earlier rounds of the same run
        self._entry = Entry.FREE
        self._part = part
        self._policy = policy
        self._trace = trace
        self._turn = turn

    async def ask(self, call: Callable[[Candidate], Awaitable[T]]) -> T:
        """Call `call` with candidates until one succeeds, and return its result. Raises the last failure."""
        try:
            candidate = await self.first()
            while True:
                try:
                    answer = await call(candidate)
                except UpstreamError as error:
                    drop_tracebacks(error)
                    failure = error
                else:
                    self.succeeded()
                    return answer
                candidate = await self.after(failure)
        finally:
            self.close()

    async def first(self) -> Candidate:
        """The candidate to ask. Raises UpstreamError when all are to be left alone for longer than can be waited."""
        if self._cooldowns.all_closed:
            return self._begin(self._cursor.current, Entry.FREE, 0.0)
        return await self._pick(None)

    async def after(self, failure: UpstreamError, *, final: bool = False) -> Candidate:
        """Wait for the pause after this failure, and return the next candidate. Raises the failure if no candidate
        remains, or at once if it is `final`.
        """
        policy, rule, candidate = self._policy, RULES[failure.kind], self._cursor.current
        in_time = policy.clock() < self.end
        self._asked = None
        self._trace.end(failure.kind.value, failure.upstream_status, failure.log_message)
        if in_time and failure.retry_after and failure.kind in HINT_OPENS:
            self._cooldowns.hinted(candidate.unit, Failure(failure, 1, rule.shared), self._trace)
        stop = final or not rule.other_model or not in_time
        pause = None if stop else self._pause(failure, rule)
        if pause is not None:
            hint = (failure.retry_after or 0.0) if rule.hint else 0.0
            self._cursor = self._cursor.retried(hint, counted=rule.retry is Retry.BACKOFF)
            if pause > 0:
                await policy.sleep(pause)
            return self._begin(candidate, self._entry, pause)
        self._give_up(candidate, failure, rule, in_time=in_time)
        if stop:
            raise failure
        if rule.other_key and self._cursor.has_other_key:
            self._cursor = self._cursor.without_key()
        elif rule.retry is Retry.LAST and self._posts(candidate) < MAX_POSTS:
            self._cursor = self._cursor.last_again()
        else:
            self._cursor = self._cursor.without_model()
        return await self._pick(failure)

    def again(self) -> Candidate:
        """Begin another attempt at the same candidate, whose complete answer is not what the client demands."""
        candidate = self._cursor.current
        self.succeeded()
        return self._begin(candidate, Entry.FREE, 0.0)

    def meter(self, *, streamed: bool) -> tuple[AnswerFilter, ...]:
        """The current attempt, as a filter that counts what the candidate sends; nothing if the run is not metered."""
        attempt = self._trace.current
        if self._turn is None or attempt is None:
            return ()
        attempt.streamed = streamed
        return (attempt,) if attempt.capture is None else self._captured(attempt, attempt.capture)

    def _captured(self, attempt: Attempt, capture: AttemptCapture) -> tuple[AnswerFilter, ...]:
        capture.turn = self._turn
        return attempt, capture

    def first_event_received(self, *, streamed: bool) -> None:
        """The candidate has sent its first event, so its cooldown ends. `streamed`: others may follow."""
        if streamed:
            self._trace.first_event()
        if self._entry is not Entry.FREE and self._asked is not None:
            self._entry = Entry.FREE
            self._cooldowns.answered(self._asked.unit, self._trace)

    def show(self) -> None:
        """The client gets a part of the current attempt's answer."""
        if not self._part:
            self._trace.show()

    def succeeded(self) -> None:
        """The answer is complete."""
        if self._asked is not None and not self._cooldowns.all_closed:
            self._cooldowns.succeeded(self._asked.unit, self._trace)
        self._asked = None
        self._entry = Entry.FREE
        self._trace.end(ANSWERED, 200)

    def close(self) -> None:
        """End the answer. Call this while the exception that ended it, if any, propagates."""
        if self._entry is Entry.PROBE:
            self._cooldowns.abandoned(self._cursor.current.unit)
            self._entry = Entry.FREE
        if self._asked is not None:
            self._trace.end(CANCELLED, None)
        if self._turn is not None:
            estimate_missing(self._trace.attempts[self._earlier :], self._turn)
        if not self._part:
            close_run(self._trace)

    @property
    def has_fallback(self) -> bool:
        """Whether a model other than the current one can be asked now and has not failed yet."""
        remaining, cooldowns = self._cursor.remaining, self._cooldowns
        if len(remaining) < 2:
            return False
        ref, all_closed = remaining[0].ref, self._cooldowns.all_closed
        return any(
            one.ref != ref and (all_closed or not cooldowns.cooling(one.unit, self._trace)) and not self._posts(one)
            for one in remaining
        )

    @property
    def _has_other_key(self) -> bool:
        """Whether the current model can be asked with another key now."""
        current, *others = self._cursor.remaining
        return any(one.ref == current.ref and not self._cooldowns.cooling(one.unit, self._trace) for one in others)

    def _pause(self, failure: UpstreamError, rule: Rule) -> float | None:
        """Seconds until the same candidate is retried; None if it is not retried."""
        policy, cursor = self._policy, self._cursor
        if self._posts(cursor.current) >= MAX_POSTS:
            return None
        if rule.retry is Retry.AT_ONCE:
            return 0.0
        if rule.retry is not Retry.BACKOFF or failure.final or cursor.retries >= policy.retries:
            return None
        if rule.other_key and self._has_other_key:
            return None
        has_fallback = self.has_fallback
        if has_fallback and self._entry is Entry.PROBE:
            return None
        hint = (failure.retry_after or 0.0) if rule.hint else 0.0
        if cursor.hinted + hint > (policy.fallback_hint if has_fallback else policy.max_hint):
            return None
        pause = hint + policy.random() * min(policy.max_backoff, policy.backoff * 2.0**cursor.retries)
        return pause if policy.clock() + pause < self.end else None

    def _give_up(self, candidate: Candidate, failure: UpstreamError, rule: Rule, *, in_time: bool) -> None:
        """The run gives the candidate up; update its cooldown."""
        entry, self._entry = self._entry, Entry.FREE
        if rule.cooldown is Cooldown.ENDS:
            if entry is not Entry.FREE:
                self._cooldowns.answered(candidate.unit, self._trace)
        elif in_time and rule.cooldown in THRESHOLDS:
            counted = Failure(failure, THRESHOLDS[rule.cooldown], rule.shared)
            self._cooldowns.failed(candidate.unit, counted, entry, self._trace)
        elif entry is Entry.PROBE:
            self._cooldowns.abandoned(candidate.unit)

    async def _pick(self, failure: UpstreamError | None) -> Candidate:
        """Begin an attempt at the first remaining candidate that does not cool down, else use `_last_resort`."""
        remaining = self._cursor.remaining
        if not remaining:
            raise failure or AssertionError("a run without candidates")
        if self._cooldowns.all_closed:
            return self._begin(remaining[0], Entry.FREE, 0.0)
        for candidate in remaining:
            entry = self._cooldowns.enter(candidate.unit, self._trace)
            if entry is not Entry.COOLING:
                self._cursor = self._cursor.moved_to(candidate)
                return self._begin(candidate, entry, 0.0)
        return await self._last_resort(remaining, failure)

    async def _last_resort(self, remaining: tuple[Candidate, ...], failure: UpstreamError | None) -> Candidate:
        """All remaining candidates cool down. Ask one all the same, but not before the provider's own `Retry-After`.

        A refused key is not asked again if there is another failure to report, because its own would hide the cause.
        """
        cooldowns, policy = self._cooldowns, self._policy
        usable = [one for one in remaining if failure is None or cooldowns.kind(one.unit) not in KEY_KINDS]
        if not usable:
            raise failure or AssertionError("candidates vanished")
        candidate = min(
            usable, key=lambda one: (cooldowns.hinted_wait(one.unit), cooldowns.kind(one.unit) in KEY_KINDS)
        )
        wait = cooldowns.hinted_wait(candidate.unit)
        self._cursor = self._cursor.moved_to(candidate).retried(wait, counted=False)
        if not wait:
            return self._begin(candidate, Entry.COOLING, 0.0)
        if wait > min(policy.max_hint, self.end - policy.clock()):
            raise failure or _not_asked(candidate, cooldowns.kind(candidate.unit), wait)
        pause = wait + policy.random() * policy.backoff
        await policy.sleep(pause)
        return self._begin(candidate, cooldowns.enter(candidate.unit, self._trace), pause)

    def _begin(self, candidate: Candidate, entry: Entry, waited: float) -> Candidate:
        self._entry = entry
        self._asked = candidate
        self.fresh = self._earlier < len(self._trace.attempts) and self._posts(candidate) > 0
        self._trace.begin(candidate.ref, candidate.provider.key_id, waited)
        return candidate

    def _posts(self, candidate: Candidate) -> int:
        """The number of requests that the candidate got for this answer."""
        key = candidate.provider.key_id
        return sum(one.ref == candidate.ref and one.key == key for one in self._trace.attempts[self._earlier :])


def _not_asked(candidate: Candidate, kind: UpstreamKind | None, wait: float) -> UpstreamError:
    """The error of a run without any attempt. It never quotes the provider, whose text was for another client."""
    kind = UpstreamKind.RATE_LIMITED if kind is UpstreamKind.RATE_LIMITED else UpstreamKind.OVERLOADED
    why = "has limited the rate of requests" if kind is UpstreamKind.RATE_LIMITED else "is overloaded"
    return UpstreamError(
        kind,
        f"The provider of '{candidate.ref}' was not asked: it {why} and accepts no request for another {wait:.0f} s.",
        retry_after=wait,
    )
