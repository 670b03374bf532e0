"""Counts failures per key in a sliding window and locks a key that has too many: alone, or with other instances.

Delays instead of locks are the business of `delay`.
"""

import itertools
import secrets
import time
from collections.abc import Callable
from typing import Literal

from ratelimit.budget import FailureBudget
from ratelimit.errors import StorageUnavailable
from ratelimit.link import Link
from ratelimit.policy import BudgetPolicy, LockoutPolicy
from ratelimit.records import Records
from ratelimit.shared import ServerClock, SharedFailures
from ratelimit.verdict import Verdict


class FailureLimiter:
    """Failure number `max_attempts` within the window is still allowed and starts the lock; later ones are not allowed
    and neither counted nor able to prolong it. When the lock ends the history is clean. With a `budget` everybody's
    failures count together as well (`FailureBudget`).

    Asking (`locked_for`, `must_ask`) is synchronous and costs dictionary lookups, because every good request asks.
    Recording is one step, here or, with a `link`, in the shared storage; so however many failures arrive at once, at
    however many instances, `max_attempts` are allowed.

    While the storage is away, each instance counts on from what it knows and tells the storage afterwards; locks hold.
    With `while_away="deny"`, attempts that would have to be counted raise StorageUnavailable instead.

    At most `capacity` keys are kept, here and in the storage (`Records`). `clock` is seconds; `server_time` replaces
    the storage's own time in tests.
    """

    def __init__(
        self,
        policy: LockoutPolicy,
        *,
        budget: BudgetPolicy | None = None,
        link: Link | None = None,
        kind: str = "failures",
        while_away: Literal["local", "deny"] = "local",
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 10_000,
        server_time: Callable[[], float] | None = None,
    ) -> None:
        self.policy = policy
        self._while_away = while_away
        server_clock = ServerClock(clock)
        self._records = Records(
            policy,
            clock=clock if link is None else server_clock,
            capacity=capacity,
            shared=link is not None,
        )
        self._budget = FailureBudget(budget, clock=clock, capacity=capacity) if budget is not None else None
        self._shared: SharedFailures | None = None
        if link is not None:
            self._shared = SharedFailures(
                link,
                policy,
                self._records,
                self._budget,
                clock=server_clock,
                local=clock,
                kind=kind,
                capacity=capacity,
                server_time=server_time,
            )
        self._prefix = secrets.token_hex(6)
        self._count = itertools.count(1)
        self._deciding: dict[str, int] = {}

    def __len__(self) -> int:
        """Keys on record here, expired ones that were not dropped yet included."""
        return len(self._records)

    def locked_for(self, key: str) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        return self._records.locked_for(key)

    def must_ask(self, key: str) -> bool:
        """Whether something stands against `key`, so that even a success has to go through `record_success`."""
        return (
            self._records.has_failures(key)
            or key in self._deciding
            or self._records.locked_for(key) > 0
            or (self._budget is not None and self._budget.closed_to(key))
        )

    def remember(self, key: str) -> None:
        """`key` had a success that nothing stood against; costs next to nothing but once an hour."""
        if self._budget is not None and self._budget.remember(key) and self._shared is not None:
            self._shared.remember(key)

    async def record_failure(self, key: str) -> Verdict:
        """Count one failure of `key`; says whether it may be told as one. Raises StorageUnavailable, see the class."""
        shared = self._shared
        if shared is None and self._budget is None:
            return self._records.fail(key, "")
        if (locked := self._records.locked_for(key)) > 0:
            return Verdict(allowed=False, remaining=0, retry_after=locked)
        id_ = "" if shared is None else f"{self._prefix}-{next(self._count)}"
        if shared is not None and shared.available:
            self._deciding[key] = self._deciding.get(key, 0) + 1
            try:
                return await shared.fail(key, id_)
            except StorageUnavailable:
                if self._while_away == "deny":
                    raise
            finally:
                self._decided(key)
        self._refuse_if_away()
        if self._budget is not None and (wait := await self._budget.charge(key, failed=True)) > 0:
            return Verdict(allowed=False, remaining=0, retry_after=wait)
        return self._records.fail(key, id_)

    async def record_success(self, key: str) -> Verdict:
        """Whether a success of `key` may be told; if so, its failures are forgotten. Never raises."""
        if (locked := self._records.locked_for(key)) > 0:
            return Verdict(allowed=False, remaining=0, retry_after=locked)
        if self._shared is not None and self._shared.available:
            try:
                return await self._shared.succeed(key, f"{self._prefix}-{next(self._count)}")
            except StorageUnavailable:
                if (locked := self._records.locked_for(key)) > 0:
                    return Verdict(allowed=False, remaining=0, retry_after=locked)
        if self._budget is not None:
            if (wait := await self._budget.charge(key, failed=False)) > 0:
                return Verdict(allowed=False, remaining=0, retry_after=wait)
            self._budget.remember(key)
        self._records.succeed(key)
        return Verdict(allowed=True, remaining=self.policy.max_attempts, retry_after=0.0)

    def _decided(self, key: str) -> None:
        left = self._deciding[key] - 1
        if left:
            self._deciding[key] = left
        else:
            del self._deciding[key]

    def _refuse_if_away(self) -> None:
        if self._while_away == "deny" and self._shared is not None and not self._shared.available:
            raise StorageUnavailable(self._shared.reason)
