"""What a caller is told: let in, 401, or 429 with a time. Four rules over an outcome.

Counting is behind the protocols, which the `ratelimit` library fits.
"""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Protocol

from gateway.access.client import ClientAddress
from gateway.access.outcome import Authenticated, Credential, Outcome, Rejected
from gateway.core.errors import LockedOut, Unauthorized
from gateway.core.identity import Principal


class Verdict(Protocol):
    """Answer to a recorded failure: may it be told as such, and when may the caller try again (seconds)."""

    @property
    def allowed(self) -> bool: ...  # noqa: D102  # the class says it
    @property
    def retry_after(self) -> float: ...  # noqa: D102  # the class says it


class Limiter(Protocol):
    """Failures per key, and the locks they earn."""

    def locked_for(self, key: str) -> float:
        """Seconds until the key's lock ends, 0.0 when it has none."""
        ...

    def has_failures(self, key: str) -> bool:
        """Whether a reset would change anything."""
        ...

    async def record_failure(self, key: str) -> Verdict:
        """Count one failure."""
        ...

    async def reset(self, key: str) -> None:
        """Forget the key's failures."""
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


class Budget(Protocol):
    """Failures of everybody together, per credential class."""

    def closed_to(self, group: str, key: str) -> bool:
        """Whether even a right secret of this key has to ask `charge` first."""
        ...

    async def charge(self, group: str, key: str, *, failed: bool) -> float:
        """Count one attempt; 0.0 when its result may be told, else the seconds to wait."""
        ...

    def remember(self, key: str) -> None:
        """The key has proved the secret."""
        ...


class Lockout:
    """Decides by four rules: a missing credential is a 401 and not counted, but a 429 while locked; a wrong one is
    counted, then 401 or 429 as the count says; a right one while locked is a 429; a right one otherwise clears the
    failures on record.

    Failures count per credential class and client. With a `delay`, direct loopback callers are never locked or counted;
    their failures are told ever more slowly instead. A `budget` limits what clients that have not proved the secret
    lately can try all together. Callers whom no secret would help or who need none pass by all of this.
    """

    def __init__(
        self,
        limiter: Limiter,
        *,
        sleep: Callable[[float], Awaitable[object]],
        delay: Delay | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._limiter = limiter
        self._sleep = sleep
        self._delay = delay
        self._budget = budget

    def admit_now(self, outcome: Outcome, client: ClientAddress) -> Principal | None:
        """The principal when nothing stands against it, which needs no waiting; None when `admit` has to decide."""
        if not isinstance(outcome, Authenticated):
            return None
        credential = outcome.credential
        if credential is None:
            return outcome.principal
        key = f"{credential}/{client.key}"
        if client.loopback and self._delay is not None:
            if self._delay.has_failures(key):
                self._delay.reset(key)
            return outcome.principal
        if self._limiter.has_failures(key) or self._limiter.locked_for(key) > 0:
            return None
        if self._budget is not None:
            if self._budget.closed_to(credential, key):
                return None
            self._budget.remember(key)
        return outcome.principal

    async def admit(self, outcome: Outcome, client: ClientAddress) -> Principal:
        """The principal, or the refusal to tell: raises `Unauthorized` or `LockedOut`."""
        principal = self.admit_now(outcome, client)
        if principal is not None:
            return principal
        credential = outcome.credential
        if credential is None:
            raise Unauthorized
        key = f"{credential}/{client.key}"
        wrong = isinstance(outcome, Rejected) and outcome.reason == "wrong"
        if client.loopback and self._delay is not None:
            if wrong:
                await self._sleep(self._delay.next(key))
            raise Unauthorized
        _refuse_for(self._limiter.locked_for(key))
        if isinstance(outcome, Authenticated):
            await self._charge(credential, key, failed=False)
            await self._limiter.reset(key)
            return outcome.principal
        if wrong:
            await self._charge(credential, key, failed=True)
            verdict = await self._limiter.record_failure(key)
            if not verdict.allowed:
                raise LockedOut(_whole_seconds(verdict.retry_after))
        raise Unauthorized

    async def _charge(self, credential: Credential, key: str, *, failed: bool) -> None:
        if self._budget is None:
            return
        _refuse_for(await self._budget.charge(credential, key, failed=failed))
        if not failed:
            self._budget.remember(key)


def _refuse_for(seconds: float) -> None:
    if seconds > 0:
        raise LockedOut(_whole_seconds(seconds))


def _whole_seconds(seconds: float) -> int:
    """For `Retry-After`: rounded up, so that a caller who obeys it is not refused again."""
    return max(1, ceil(seconds))
