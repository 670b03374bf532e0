"""One login, from the question whether it may try to its result."""

from typing import Protocol, Self

from openclaw_ratelimit.errors import Locked, UsageError
from openclaw_ratelimit.verdict import Verdict


class _Limiter(Protocol):
    """What an attempt needs of a `FailureLimiter`."""

    def check(self, key: str | bytes) -> Verdict: ...

    def succeed_now(self, key: str | bytes) -> bool: ...

    async def record_failure(self, key: str | bytes) -> Verdict: ...

    async def record_success(self, key: str | bytes) -> Verdict: ...


class Attempt:
    """`async with limiter.attempt(key) as attempt:` and inside, once, `failed`, `succeeded` or `discard`.

    Raises Locked at the beginning when the key is locked, so that no password is checked for nothing. A body that
    raises counts nothing (the database was away, the caller has left); one that ends without a result raises
    UsageError, and so does a second result.
    """

    __slots__ = ("_done", "_key", "_limiter")

    def __init__(self, limiter: _Limiter, key: str | bytes) -> None:
        self._limiter = limiter
        self._key = key
        self._done = False

    async def __aenter__(self) -> Self:
        _allowed(self._limiter.check(self._key))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._done:
            raise UsageError("the attempt has no result: call failed(), succeeded() or discard() inside")

    async def failed(self) -> Verdict:
        """The secret was wrong. Raises Locked when the caller must not know, and StorageUnavailable (`while_away`)."""
        self._finish()
        return _allowed(await self._limiter.record_failure(self._key))

    async def succeeded(self) -> None:
        """The secret was right. Raises Locked when it must be refused all the same."""
        self._finish()
        if not self._limiter.succeed_now(self._key):
            _allowed(await self._limiter.record_success(self._key))

    def discard(self) -> None:
        """It was no attempt, for instance because no secret was given: nothing is counted."""
        self._finish()

    def _finish(self) -> None:
        if self._done:
            raise UsageError("the attempt has a result already: call one of failed(), succeeded() and discard(), once")
        self._done = True


def _allowed(verdict: Verdict) -> Verdict:
    if not verdict.allowed:
        raise Locked(verdict.retry_after)
    return verdict
