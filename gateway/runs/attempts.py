"""The attempts of one answer: who is asked next after a failure, and how long is waited before.

Retries are spaced by exponential back-off with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), a provider's own hint goes first, and one
deadline holds for everything. What follows from a kind of failure is the table in `gateway.runs.failover`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Cooldowns, Entry, Failure
from gateway.runs.failover import HINT_OPENS, KEY_KINDS, MAX_POSTS, RULES, THRESHOLDS, Cooldown, Cursor, Retry, Rule
from gateway.runs.observers import close_run
from gateway.runs.trace import ANSWERED, CANCELLED, RunTrace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` of one candidate, the first after up to `backoff` seconds, doubling up to `max_backoff`.

    Of a provider's `Retry-After`, up to `fallback_hint` seconds are waited for while another candidate can be asked,
    up to `max_hint` for the last one. `hedge_after` seconds without a first event start the next candidate beside a
    silent one (None: never). `random` gives numbers from 0 to 1, `sleep` waits.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    retries: int = 2
    backoff: float = 0.5
    max_backoff: float = 8.0
    fallback_hint: float = 3.0
    max_hint: float = 60.0
    hedge_after: float | None = None


class Attempts:
    """The attempts of one answer: `first`, then `after` each failure, then `succeeded`; `close` in every case.

    With `part` the answer is a part of a run, and the code that began the run ends it with `close_run`. `end` is clock
    time.
    `fresh` says whether the current attempt must use a new connection.
    """

    __slots__ = (
        "_asked", "_cooldowns", "_cursor", "_earlier", "_entry", "_part", "_policy", "_trace", "end", "fresh",
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
    ) -> None:
        self.end = end
        self.fresh = False
        self._asked: Candidate | None = None
        self._cooldowns = cooldowns
        self._cursor = Cursor(candidates)
        self._earlier = len(trace.attempts)  # of other answers of the same run
        self._entry = Entry.FREE
        self._part = part
        self._policy = policy
        self._trace = trace

    async def ask(self, call: Callable[[Candidate], Awaitable[T]]) -> T:
        """The first whole answer that `call` gets from a candidate. Raises the last failure."""
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
        """The candidate to ask. Raises UpstreamError when all are to be left alone for longer than can be waited."""
        if self._cooldowns.all_closed:
            return self._begin(self._cursor.current, Entry.FREE, 0.0)
        return await self._pick(None)

    async def after(self, failure: UpstreamError, *, final: bool = False) -> Candidate:
        """The candidate to ask after this failure, once it is time to. Raises the failure when nothing is left to try,
        or at once if it is `final`.
        """
        policy, rule, candidate = self._policy, RULES[failure.kind], self._cursor.current
        in_time = policy.clock() < self.end
        self._asked = None
        self._trace.end(failure.kind.value, failure.upstream_status)
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

    def begun(self) -> None:
        """The first event has come: a cooldown of the candidate ends."""
        if self._entry is not Entry.FREE and self._asked is not None:
            self._entry = Entry.FREE
            self._cooldowns.answered(self._asked.unit)

    def succeeded(self) -> None:
        """The answer is complete."""
        if self._asked is not None and not self._cooldowns.all_closed:
            self._cooldowns.succeeded(self._asked.unit)
        self._asked = None
        self._entry = Entry.FREE
        self._trace.end(ANSWERED, 200)

    def close(self) -> None:
        """The answer has ended; called while what ended it, if anything, is on its way up."""
        if self._entry is Entry.PROBE:
            self._cooldowns.abandoned(self._cursor.current.unit)
            self._entry = Entry.FREE
        if self._asked is not None:
            self._trace.end(CANCELLED, None)
        if not self._part:
            close_run(self._trace)

    @property
    def has_fallback(self) -> bool:
        """Whether another model, which has not failed yet, can be asked now instead of the current one."""
        remaining, cooldowns = self._cursor.remaining, self._cooldowns
        if len(remaining) < 2:
            return False
        ref, all_closed = remaining[0].ref, self._cooldowns.all_closed
        return any(
            one.ref != ref and (all_closed or not cooldowns.cooling(one.unit)) and not self._posts(one)
            for one in remaining
        )

    @property
    def _has_other_key(self) -> bool:
        """Whether the current model can be asked with another key now."""
        current, *others = self._cursor.remaining
        return any(one.ref == current.ref and not self._cooldowns.cooling(one.unit) for one in others)

    def _pause(self, failure: UpstreamError, rule: Rule) -> float | None:
        """Seconds until the same candidate is asked again, None when it is not."""
        policy, cursor = self._policy, self._cursor
        if self._posts(cursor.current) >= MAX_POSTS:
            return None
        if rule.retry is Retry.AT_ONCE:
            return 0.0
        if rule.retry is not Retry.BACKOFF or cursor.retries >= policy.retries:
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
        """The run moves on: what that means for the candidate's cooldown."""
        entry, self._entry = self._entry, Entry.FREE
        if rule.cooldown is Cooldown.ENDS:
            if entry is not Entry.FREE:
                self._cooldowns.answered(candidate.unit)
        elif in_time and rule.cooldown in THRESHOLDS:
            counted = Failure(failure, THRESHOLDS[rule.cooldown], rule.shared)
            self._cooldowns.failed(candidate.unit, counted, entry, self._trace)
        elif entry is Entry.PROBE:
            self._cooldowns.abandoned(candidate.unit)

    async def _pick(self, failure: UpstreamError | None) -> Candidate:
        """The first remaining candidate that does not cool down, else what `_last_resort` makes of it."""
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
        """All that are left cool down. They are asked all the same, except before the time that the provider named.

        A refused key is not asked again when there is another failure to report: its own would replace the cause.
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
        """How often the candidate was asked for this answer."""
        key = candidate.provider.key_id
        return sum(one.ref == candidate.ref and one.key == key for one in self._trace.attempts[self._earlier :])


def _not_asked(candidate: Candidate, kind: UpstreamKind | None, wait: float) -> UpstreamError:
    """The error of a run that asked nobody. It never quotes the provider, whose words were for another client."""
    kind = UpstreamKind.RATE_LIMITED if kind is UpstreamKind.RATE_LIMITED else UpstreamKind.OVERLOADED
    why = "has limited the rate of requests" if kind is UpstreamKind.RATE_LIMITED else "is overloaded"
    return UpstreamError(
        kind,
        f"The provider of '{candidate.ref}' was not asked: it {why} and wants no request for another {wait:.0f} s.",
        retry_after=wait,
    )
