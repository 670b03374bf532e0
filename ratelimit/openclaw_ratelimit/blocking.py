"""The same limiters for code that blocks: Flask, Django, threads, processes that fork.

One thread per process runs an event loop, and everything is decided there. It starts at the first call, so a server
that loads the application before it forks gets one in each process.
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from openclaw_ratelimit.errors import QuotaExceeded, UsageError
from openclaw_ratelimit.limiter import FailureLimiter
from openclaw_ratelimit.policy import LockoutPolicy
from openclaw_ratelimit.quota import Quota
from openclaw_ratelimit.quota_policy import Attributes, QuotaPolicy
from openclaw_ratelimit.reservation import Refusal, Reservation
from openclaw_ratelimit.verdict import Lock, Verdict

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

_Result = TypeVar("_Result")


class LoopThread:
    """The event loop in which limiters and quotas live, one per process.

    `link` makes the link to the shared storage, or is None: `LoopThread(lambda: ReplicationLink(Redis(), name="app"))`.
    It is called in each process. Make limiters and quotas first; the first call to one of them starts the thread. That
    call raises ConfigurationError for a link that can't work.
    """

    def __init__(self, link: "Callable[[], ReplicationLink] | None" = None) -> None:
        self._make_link = link
        self._makers: list[Callable[[ReplicationLink | None], Any]] = []
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._link: ReplicationLink | None = None
        self._made: list[Any] = []
        self._closed = False
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: _call(forget()))

    def limiter(self, policy: LockoutPolicy, **options: Any) -> "BlockingLimiter":
        """A FailureLimiter with these arguments. Raises ConfigurationError."""
        FailureLimiter(policy, **options)  # what is wrong with them shows here
        return BlockingLimiter(self, self._add(lambda link: FailureLimiter(policy, link=link, **options)))

    def quota(self, policies: Sequence[QuotaPolicy], **options: Any) -> "BlockingQuota":
        """A Quota with these arguments. Raises ConfigurationError."""
        Quota(policies, **options)
        return BlockingQuota(self, self._add(lambda link: Quota(policies, link=link, **options)))

    def run(self, call: Callable[[Any], Coroutine[Any, Any, _Result]], place: int) -> _Result:
        """The result of a call with what was made at this place. Raises what it raises."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            raise UsageError("a blocking call from the limiter's own thread, as a listener's is, would never end")

        async def called() -> _Result:
            return await call(self._made[place])

        return asyncio.run_coroutine_threadsafe(called(), loop).result()

    def look(self, place: int) -> Any:
        """What was made at this place, for reading without a turn of its loop."""
        self._running()
        return self._made[place]

    def close(self) -> None:
        """End the thread and the link; later calls raise UsageError."""
        with self._starting:
            self._closed = True
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, make: "Callable[[ReplicationLink | None], Any]") -> int:
        with self._starting:
            if self._loop is not None:
                raise UsageError("the loop runs already: make limiters and quotas before the first call to one of them")
            self._makers.append(make)
            return len(self._makers) - 1

    def _running(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is not None:
            return loop
        with self._starting:
            if self._closed:
                raise UsageError("closed: make a new LoopThread")
            if self._loop is None:
                self._start()
            assert self._loop is not None  # noqa: S101  for mypy
            return self._loop

    def _start(self) -> None:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="openclaw-ratelimit", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._make(), loop).result()
        except BaseException:
            self._end(loop)
            raise
        self._loop = loop
        atexit.register(self.close)

    async def _make(self) -> None:
        link = self._link = None if self._make_link is None else self._make_link()
        self._made = [make(link) for make in self._makers]
        if link is not None:
            await link.open()

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            atexit.unregister(self.close)
            if self._link is not None:
                asyncio.run_coroutine_threadsafe(_close(self._link), loop).result()
            self._end(loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(loop.stop)
        assert self._thread is not None  # noqa: S101  for mypy
        self._thread.join()
        loop.close()

    def _forget(self) -> None:
        """In a forked process, where the thread does not exist: a new one starts when it is needed."""
        self._starting = threading.Lock()
        self._loop = self._thread = self._link = None


def _call(method: Callable[[], object] | None) -> None:
    if method is not None:
        method()


async def _close(link: "ReplicationLink") -> None:
    await link.close()
    await link.client.aclose()


class BlockingLimiter:
    """`FailureLimiter` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, place: int) -> None:
        self._thread = thread
        self._place = place

    @contextmanager
    def attempt(self, key: str | bytes) -> "Iterator[BlockingAttempt]":
        """`with limiter.attempt(key) as attempt:`, as `FailureLimiter.attempt`."""
        attempt = self._thread.look(self._place).attempt(key)
        self._run(lambda _: attempt.__aenter__())
        blocking = BlockingAttempt(self._thread, self._place, attempt)
        yield blocking
        self._run(lambda _: attempt.__aexit__(None, None, None))

    def locked_for(self, key: str | bytes) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        seconds: float = self._thread.look(self._place).locked_for(key)
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

        async def listed(limiter: FailureLimiter) -> list[Lock]:
            return limiter.locked()

        return self._run(listed)

    def failures(self, key: str | bytes) -> int:
        """As `FailureLimiter.failures`."""

        async def counted(limiter: FailureLimiter) -> int:
            return limiter.failures(key)

        return self._run(counted)

    def _run(self, call: Callable[[FailureLimiter], Coroutine[Any, Any, _Result]]) -> _Result:
        return self._thread.run(call, self._place)


class BlockingAttempt:
    """`Attempt` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, place: int, attempt: Any) -> None:
        self._thread = thread
        self._place = place
        self._attempt = attempt

    def failed(self) -> Verdict:
        """The secret was wrong. Raises Locked when the caller must not know."""
        verdict: Verdict = self._thread.run(lambda _: self._attempt.failed(), self._place)
        return verdict

    def succeeded(self) -> None:
        """The secret was right. Raises Locked when it must be refused all the same."""
        self._thread.run(lambda _: self._attempt.succeeded(), self._place)

    def discard(self) -> None:
        """It was no attempt: nothing is counted."""
        self._attempt.discard()


class BlockingQuota:
    """`Quota` for code that blocks; see there."""

    def __init__(self, thread: LoopThread, place: int) -> None:
        self._thread = thread
        self._place = place

    @contextmanager
    def reserve(self, attributes: Attributes, tokens: int = 0, at_least: int = 0) -> Iterator[Reservation]:
        """`with quota.reserve(...) as reserved:`; settled in every ending, with what `reserved.used` says.

        Raises QuotaExceeded.
        """

        async def reserve(quota: Quota) -> Reservation | Refusal:
            return await quota.reserve(attributes, tokens, at_least)

        outcome = self._thread.run(reserve, self._place)
        if isinstance(outcome, Refusal):
            raise QuotaExceeded(outcome)
        try:
            yield outcome
        finally:
            self._thread.run(lambda _: outcome.settle(), self._place)

    def reset(self, attributes: Attributes) -> None:
        """As `Quota.reset`."""
        self._thread.run(lambda quota: quota.reset(attributes), self._place)
