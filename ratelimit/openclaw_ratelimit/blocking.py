"""The same limiters for code that blocks: Flask, Django, threads, processes that fork.

One thread per process runs an event loop, and everything is decided there. It starts at the first call, so a server
that loads the application before it forks gets one in each process.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from openclaw_ratelimit.limit_status import QuotaUsage
from openclaw_ratelimit.limiter import FailureLimiter
from openclaw_ratelimit.loop_runner import LoopRunner
from openclaw_ratelimit.policy import LockoutPolicy
from openclaw_ratelimit.quota import Quota
from openclaw_ratelimit.quota_policy import Attributes, QuotaPolicy
from openclaw_ratelimit.refusal import QuotaExceeded, Refusal
from openclaw_ratelimit.reservation import Reservation
from openclaw_ratelimit.verdict import Lock, Verdict

_Result = TypeVar("_Result")


class LoopThread(LoopRunner):
    """The event loop in which limiters and quotas live, one per process.

    `link` makes the link to the shared storage, or is None: `LoopThread(lambda: ReplicationLink(Redis(), name="app"))`.
    It is called in each process. Make limiters and quotas first; the first call to one of them starts the thread. That
    call raises ConfigurationError for a link that can't work.
    """

    def limiter(self, policy: LockoutPolicy, **options: Any) -> "BlockingLimiter":
        """A FailureLimiter with these arguments. Raises ConfigurationError."""
        FailureLimiter(policy, **options)  # what is wrong with them shows here
        return BlockingLimiter(self, self.add(lambda link: FailureLimiter(policy, link=link, **options)))

    def quota(self, policies: Sequence[QuotaPolicy], **options: Any) -> "BlockingQuota":
        """A Quota with these arguments. Raises ConfigurationError."""
        Quota(policies, **options)
        return BlockingQuota(self, self.add(lambda link: Quota(policies, link=link, **options)))


class BlockingLimiter:
    """`FailureLimiter` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, index: int) -> None:
        self._thread = thread
        self._index = index

    @contextmanager
    def attempt(self, key: str | bytes) -> "Iterator[BlockingAttempt]":
        """`with limiter.attempt(key) as attempt:`, as `FailureLimiter.attempt`."""
        attempt = self._thread.look(self._index).attempt(key)
        self._run(lambda _: attempt.__aenter__())
        blocking = BlockingAttempt(self._thread, self._index, attempt)
        yield blocking
        self._run(lambda _: attempt.__aexit__(None, None, None))

    def locked_for(self, key: str | bytes) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        seconds: float = self._thread.look(self._index).locked_for(key)
        return seconds

    def record_failure(self, key: str | bytes) -> Verdict:
        """As `FailureLimiter.record_failure`."""
        return self._run(lambda limiter: limiter.record_failure(key))

    def record_success(self, key: str | bytes) -> Verdict:
        """As `FailureLimiter.record_success`."""
        return self._run(lambda limiter: limiter.record_success(key))

    def unlock(self, key: str | bytes) -> bool:
        """As `FailureLimiter.unlock`."""
        return self._run(lambda limiter: limiter.unlock(key))

    def locked(self) -> list[Lock]:
        """As `FailureLimiter.locked`."""

        async def locked(limiter: FailureLimiter) -> list[Lock]:
            return limiter.locked()

        return self._run(locked)

    def failures(self, key: str | bytes) -> int:
        """As `FailureLimiter.failures`."""

        async def counted(limiter: FailureLimiter) -> int:
            return limiter.failures(key)

        return self._run(counted)

    def _run(self, call: Callable[[FailureLimiter], Coroutine[Any, Any, _Result]]) -> _Result:
        return self._thread.run(call, self._index)


class BlockingAttempt:
    """`Attempt` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, index: int, attempt: Any) -> None:
        self._thread = thread
        self._index = index
        self._attempt = attempt

    def failed(self) -> Verdict:
        """The secret was wrong. Raises Locked when the caller must not know."""
        verdict: Verdict = self._thread.run(lambda _: self._attempt.failed(), self._index)
        return verdict

    def succeeded(self) -> None:
        """The secret was right. Raises Locked when it must be refused all the same."""
        self._thread.run(lambda _: self._attempt.succeeded(), self._index)

    def discard(self) -> None:
        """It was no attempt: nothing is counted."""
        self._attempt.discard()


class BlockingQuota:
    """`Quota` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, index: int) -> None:
        self._thread = thread
        self._index = index

    @contextmanager
    def reserve(self, attributes: Attributes, tokens: int = 0, at_least: int = 0) -> Iterator[Reservation]:
        """`with quota.reserve(...) as reserved:`; settled in every ending, with what `reserved.used` says.

        Raises QuotaExceeded.
        """

        async def reserve(quota: Quota) -> Reservation | Refusal:
            return await quota.reserve(attributes, tokens, at_least)

        outcome = self._thread.run(reserve, self._index)
        if isinstance(outcome, Refusal):
            raise QuotaExceeded(outcome)
        try:
            yield outcome
        finally:
            self._thread.run(lambda _: outcome.settle(), self._index)

    def usage(self, attributes: Attributes) -> tuple[QuotaUsage, ...]:
        """As `Quota.usage`."""
        return self._thread.run(lambda quota: quota.usage(attributes), self._index)

    def reset(self, attributes: Attributes) -> None:
        """As `Quota.reset`."""
        self._thread.run(lambda quota: quota.reset(attributes), self._index)
