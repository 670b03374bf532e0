"""Turns an authentication outcome into a principal, a 401, or a 429 with a time.

The library `openclaw_ratelimit` counts; it implements the protocols below.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gateway.access.client import ClientAddress
from gateway.access.outcome import Authenticated, Outcome, Rejected
from gateway.core.errors import LockedOut, Unauthorized, Unavailable
from gateway.core.identity import Principal
from gateway.core.retry_after import retry_after_seconds


class Verdict(Protocol):
    """The limiter's answer to an attempt: whether its result may be sent, and the seconds until the next attempt."""

    @property
    def allowed(self) -> bool: ...  # noqa: D102  # the class says it
    @property
    def retry_after(self) -> float: ...  # noqa: D102  # the class says it


class Limiter(Protocol):
    """Counts failures per key and in total, and locks keys."""

    def locked_for(self, key: str) -> float:
        """Seconds until the key's lock ends, 0.0 without a lock."""
        ...

    def succeed_now(self, key: str) -> bool:
        """Record a success of a key that nothing stands against. False if `record_success` must decide."""
        ...

    async def record_failure(self, key: str) -> Verdict:
        """Count one failure."""
        ...

    async def record_success(self, key: str) -> Verdict:
        """Clear the key's failures, unless the key is locked."""
        ...

    async def unlock(self, key: str) -> bool:
        """End the key's lock and forget its failures; whether there were any."""
        ...

    def release_as_of(self, key: str, age: float) -> None:
        """End the lock and forget the failures that the key had `age` seconds ago."""
        ...

    def locked(self) -> Sequence[tuple[str, float]]:
        """The keys that are locked, and for how many more seconds."""
        ...


class Delay(Protocol):
    """A growing delay for keys that are never locked."""

    def has_failures(self, key: str) -> bool:
        """Whether the key has failures on record."""
        ...

    def next(self, key: str) -> float:
        """Count one failure. Returns the seconds to wait before the response."""
        ...

    def reset(self, key: str) -> None:
        """Clear the key's failures."""
        ...


class Lockout:
    """Decides by four rules. A missing credential gets a 401 and does not count; while locked it gets a 429. A wrong
    credential counts, and gets a 401 or a 429. A right credential gets a 429 while locked. Otherwise a right credential
    clears the failures on record.

    Failures count per client. A limiter covers one class of credential. With a `delay`, direct loopback clients are
    never locked or counted; each of their failures is delayed longer. These rules don't apply to callers that need no
    secret, or that no secret would help.
    """

    def __init__(
        self, limiter: Limiter, *, sleep: Callable[[float], Awaitable[object]], delay: Delay | None = None
    ) -> None:
        self._limiter = limiter
        self._sleep = sleep
        self._delay = delay
        self._keys_forgive = True
        self.announce: Callable[[str], Awaitable[None]] | None = None
        """Called with each key that an operator has released."""

    def exempt_loopback(self, delay: Delay | None) -> None:
        """Set or remove the delay; without one, direct loopback clients are counted and locked as others."""
        self._delay = delay

    def let_keys_forgive(self, *, enabled: bool) -> None:
        """Set whether a right client key clears failures as the owner's secret does.

        It must not where that secret could be guessed: else the client of any key guesses without end, two tries, a
        request with the key, two tries.
        """
        self._keys_forgive = enabled

    def locked(self) -> Sequence[tuple[str, float]]:
        """The clients' keys that are locked, and for how many more seconds."""
        return self._limiter.locked()

    async def unlock(self, key: str) -> bool:
        """For operators: end a lock at all instances, and forget the failures; whether there were any."""
        released = await self._limiter.unlock(key)
        if self.announce is not None:
            await self.announce(key)
        return released

    def release_as_of(self, key: str, age: float) -> None:
        """An operator has released `key` `age` seconds ago at another instance, which could not publish that."""
        self._limiter.release_as_of(key, age)

    def admit_now(self, outcome: Outcome, client: ClientAddress) -> Principal | None:
        """The principal if no failures are on record. None if `admit` must decide."""
        if not isinstance(outcome, Authenticated):
            return None
        if outcome.credential is None:
            return outcome.principal
        key, forgives = client.key, self._keys_forgive or outcome.principal.name is None
        if client.loopback and self._delay is not None:
            if forgives and self._delay.has_failures(key):
                self._delay.reset(key)
            return outcome.principal
        if not forgives:  # nor is it a try of that secret, for which a turn would be needed
            return None if self._limiter.locked_for(key) > 0 else outcome.principal
        return outcome.principal if self._limiter.succeed_now(key) else None

    async def admit(self, outcome: Outcome, client: ClientAddress) -> Principal:
        """The principal. Raises `Unauthorized`, `LockedOut`, `Unavailable` for a key that can't be checked now, and
        what the limiter raises.
        """
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
            raise _refusal(outcome)
        if wrong:
            _raise_if_locked(await self._limiter.record_failure(key))
            raise Unauthorized
        if (seconds := self._limiter.locked_for(key)) > 0:
            raise LockedOut(retry_after_seconds(seconds))
        if isinstance(outcome, Authenticated):
            _raise_if_locked(await self._limiter.record_success(key))
            return outcome.principal
        raise _refusal(outcome)


def _refusal(outcome: Outcome) -> Unauthorized | Unavailable:
    if isinstance(outcome, Rejected) and outcome.reason == "unverifiable":
        return Unavailable("The gateway can't check client keys now. Try again.")
    return Unauthorized()


def _raise_if_locked(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise LockedOut(retry_after_seconds(verdict.retry_after))
