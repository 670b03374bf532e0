"""What a caller gets: admitted, 401, or 429 with a time. Four rules over an outcome.

Counting is behind the protocols, which the library `openclaw_ratelimit` fits.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from typing import Protocol

from gateway.access.client import ClientAddress
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.core.errors import LockedOut, Unauthorized
from gateway.core.identity import Principal


class Verdict(Protocol):
    """Answer to an attempt: may the caller know its result, and when may it try again (seconds)."""

    @property
    def allowed(self) -> bool: ...  # noqa: D102  # the class says it
    @property
    def retry_after(self) -> float: ...  # noqa: D102  # the class says it


class Limiter(Protocol):
    """Failures per key and of everybody together, and the locks they earn."""

    def locked_for(self, key: str) -> float:
        """Seconds until the key's lock ends, 0.0 when it has none."""
        ...

    def must_ask(self, key: str) -> bool:
        """Whether something stands against the key, so that even a success has to be recorded."""
        ...

    def remember(self, key: str) -> None:
        """The key has proved the secret, and nothing stood against it."""
        ...

    async def record_failure(self, key: str) -> Verdict:
        """Count one failure."""
        ...

    async def record_success(self, key: str) -> Verdict:
        """Forget the key's failures, unless it must not be let in."""
        ...

    async def unlock(self, key: str) -> bool:
        """End the key's lock and forget its failures; whether there were any."""
        ...

    def locked(self) -> Sequence[tuple[str, float]]:
        """The keys that are locked, and for how many more seconds."""
        ...


class Delay(Protocol):
    """Growing delay for keys that are never locked."""

    def has_failures(self, key: str) -> bool:
        """Whether a reset would change anything."""
        ...

    def next(self, key: str) -> float:
        """Count one failure; seconds to wait before telling it."""
        ...

    def reset(self, key: str) -> None:
        """Forget the key's failures."""
        ...


class Lockout:
    """Decides by four rules: a missing credential is a 401 and not counted, but a 429 while locked; a wrong one is
    counted, then 401 or 429 as the count says; a right one while locked is a 429; a right one otherwise clears the
    failures on record.

    Failures count per client; a limiter is for one class of credential. With a `delay`, direct loopback callers are
    never locked or counted; their failures are told ever more slowly instead. Callers whom no secret would help or who
    need none pass by all of this.
    """

    def __init__(
        self, limiter: Limiter, *, sleep: Callable[[float], Awaitable[object]], delay: Delay | None = None
    ) -> None:
        self._limiter = limiter
        self._sleep = sleep
        self._delay = delay

    def locked(self) -> Sequence[tuple[str, float]]:
        """The clients' keys that are locked, and for how many more seconds."""
        return self._limiter.locked()

    async def unlock(self, key: str) -> bool:
        """For operators: end a lock at all instances, and forget the failures; whether there were any."""
        return await self._limiter.unlock(key)

    def admit_now(self, outcome: Outcome, client: ClientAddress) -> Principal | None:
        """The principal when nothing stands against it, which needs no waiting; None when `admit` has to decide."""
        if not isinstance(outcome, Authenticated):
            return None
        if outcome.credential is None:
            return outcome.principal
        key = client.key
        if client.loopback and self._delay is not None:
            if self._delay.has_failures(key):
                self._delay.reset(key)
            return outcome.principal
        if self._limiter.must_ask(key):
            return None
        self._limiter.remember(key)
        return outcome.principal

    async def admit(self, outcome: Outcome, client: ClientAddress) -> Principal:
        """The principal, or the refusal to tell: raises `Unauthorized` or `LockedOut`, and what the limiter raises."""
        principal = self.admit_now(outcome, client)
        if principal is not None:
            return principal
        if outcome.credential is None:
            raise Unauthorized
        key = client.key
        wrong = isinstance(outcome, Rejected) and outcome.reason == "wrong"
        if client.loopback and self._delay is not None:
            if wrong:
                await self._sleep(self._delay.next(key))
            raise Unauthorized
        if wrong:
            _obey(await self._limiter.record_failure(key))
            raise Unauthorized
        if (seconds := self._limiter.locked_for(key)) > 0:
            raise LockedOut(_whole_seconds(seconds))
        if isinstance(outcome, Authenticated):
            _obey(await self._limiter.record_success(key))
            return outcome.principal
        raise Unauthorized


def _obey(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise LockedOut(_whole_seconds(verdict.retry_after))


def _whole_seconds(seconds: float) -> int:
    """For `Retry-After`: rounded up, so that a caller who obeys it is not refused again."""
    return max(1, ceil(seconds))
