"""Counts failures per key in a sliding window and locks a key that has too many: alone, or with other instances.

`delay` delays answers instead of locking keys.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from openclaw_ratelimit.attempt import Attempt
from openclaw_ratelimit.budget import FailureBudget
from openclaw_ratelimit.checks import require_clock, require_count, require_kind, require_link, require_listener
from openclaw_ratelimit.errors import ConfigurationError, StorageUnavailable
from openclaw_ratelimit.events import Event, EventKind, Listener, emit, log_event
from openclaw_ratelimit.failure_calls import FailureCalls
from openclaw_ratelimit.failure_replica import FailureReplica
from openclaw_ratelimit.keys import MAX_KEY_BYTES, listed_key, stored_key
from openclaw_ratelimit.policy import BudgetPolicy, LockoutPolicy
from openclaw_ratelimit.records import Records
from openclaw_ratelimit.verdict import Lock, Verdict

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink


class FailureLimiter:
    """Failure number `max_attempts` within the window is still allowed and starts the lock; later ones are not allowed
    and neither counted nor able to prolong it. When the lock ends the history is clean. With a `budget` everybody's
    failures count together as well (`FailureBudget`).

    `attempt` is one call for a login. The calls below it: `locked_for` and `succeed_now` are synchronous and cost a
    few dictionary lookups, because every good request asks. Recording is one step, here or, with a `link`, in the
    shared storage; so however many failures arrive at once, at however many instances, `max_attempts` are allowed.

    Keys are text or bytes; very long ones and those that are not UTF-8 are stored as digests. Limiters of one link have
    different `kind`s. While the storage is away, each instance counts alone from what it knows and merges afterwards;
    locks hold. With `while_away="deny"`, attempts that would have to be counted raise StorageUnavailable instead.

    The process and the storage hold at most `capacity` keys (`Records`). `on_event` receives FAILURE, LOCKED, RELEASED
    and REFUSED. `clock` is seconds, for a limiter without a link, which brings its own. Raises ConfigurationError.
    """

    def __init__(
        self,
        policy: LockoutPolicy,
        *,
        budget: BudgetPolicy | None = None,
        link: "ReplicationLink | None" = None,
        kind: str = "failures",
        while_away: Literal["local", "deny"] = "local",
        on_event: Listener = log_event,
        clock: Callable[[], float] | None = None,
        capacity: int = 10_000,
    ) -> None:
        _check(policy, budget, kind, while_away, has_both_clocks=link is not None and clock is not None)
        require_count("capacity", capacity)
        require_link(link)
        require_listener(on_event)
        require_clock(clock)
        self.policy = policy
        self.kind = kind
        self._deny = while_away == "deny"
        self._on_event = on_event
        local = link.clock.local if link is not None else clock or time.monotonic
        self._records = Records(
            policy, clock=local if link is None else link.clock, capacity=capacity, shared=link is not None
        )
        self._budget = FailureBudget(budget, clock=local, capacity=capacity) if budget is not None else None
        self._replica: FailureReplica | None = None
        self._calls: FailureCalls | None = None
        self._deciding: dict[str, int] = {}
        if link is not None:
            self._replica = FailureReplica(link, policy, self._records, self._budget, kind=kind, capacity=capacity)
            self._calls = FailureCalls(self._replica, report=self._report, count_here=self._count_abandoned)
            self._deciding = self._calls.deciding

    def __len__(self) -> int:
        """Keys on record here."""
        return len(self._records)

    def attempt(self, key: str | bytes) -> Attempt:
        """`async with limiter.attempt(key) as attempt:` around one login; see `Attempt`."""
        return Attempt(self, key)

    def check(self, key: str | bytes) -> Verdict:
        """Whether `key` may try now, before its secret is looked at; decide by the verdict of the attempt itself."""
        key = _stored(key)
        if (locked := self._records.locked_for(key)) > 0:
            return self._refused(key, locked)
        return Verdict(allowed=True, remaining=self.policy.max_attempts - self._records.failures(key), retry_after=0.0)

    def locked_for(self, key: str | bytes) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        return self._records.locked_for(_stored(key))

    def must_ask(self, key: str | bytes) -> bool:
        """Whether a success of `key` must go through `record_success`, because of a lock, failures or the budget."""
        return self._must_ask(_stored(key))

    def succeed_now(self, key: str | bytes) -> bool:
        """Take a success of `key` without awaiting anything, as nearly always; False when `must_ask`, and then
        `record_success` decides.
        """
        # Every good request asks: hence `_stored`, `_must_ask` and `remember` written out, and no needless call.
        if key.__class__ is not str or len(key) > MAX_KEY_BYTES or not key.isascii():
            key = stored_key(key)
        if self._records.stands_against(key) or key in self._deciding:
            return False
        budget = self._budget
        if budget is None:
            return True
        if budget.spent_until > 0.0 and budget.closed_to(key):
            return False
        last = budget.successes.get(key)
        if (last is None or budget.clock() - last >= budget.refresh) and budget.remember(key) and self._replica:
            self._replica.remember(key)
        return True

    async def record_failure(self, key: str | bytes) -> Verdict:
        """Count one failure of `key`; `allowed` if the client may learn it. Raises StorageUnavailable, see the class.

        A cancelled call is counted all the same.
        """
        key = _stored(key)
        if (locked := self._records.locked_for(key)) > 0:
            return self._refused(key, locked)
        replica, calls = self._replica, self._calls
        if replica is None or calls is None:
            return self._fail_here(key, "")
        id_ = calls.new_id()
        if replica.link.usable():
            try:
                return await calls.ask(key, id_)
            except StorageUnavailable:
                if self._deny:
                    raise
        elif self._deny:
            raise StorageUnavailable(replica.link.reason)
        return self._fail_here(key, id_)

    async def record_success(self, key: str | bytes) -> Verdict:
        """Decide about a success of `key`; if it is `allowed`, forget the failures. Never raises StorageUnavailable."""
        key = _stored(key)
        if (locked := self._records.locked_for(key)) > 0:
            return self._refused(key, locked)
        replica, calls = self._replica, self._calls
        if replica is not None and calls is not None and replica.link.usable():
            try:
                verdict = replica.succeeded(key, await replica.succeed(key, calls.new_id()))
            except StorageUnavailable:
                if (locked := self._records.locked_for(key)) > 0:
                    return self._refused(key, locked)
            else:
                return verdict if verdict.allowed else self._refused(key, verdict.retry_after)
        return self._succeed_here(key)

    async def unlock(self, key: str | bytes) -> bool:
        """For operators: end the lock of `key` and forget its failures, at all instances; whether there were any.

        `key` may also be one that `locked` lists. While the storage is away the lock ends here at once, and at the
        other instances when the storage is back. Never raises StorageUnavailable.
        """
        key = listed_key(key)
        replica = self._replica
        stood: bool | None = None
        if replica is not None and replica.link.usable():
            try:
                stood = replica.released(key, await asyncio.shield(replica.release(key)))
            except StorageUnavailable:
                stood = None
        if stood is None:
            stood = self._records.release(key)
        emit(self._on_event, Event(EventKind.RELEASED, self.kind, key))
        return stood

    def release_as_of(self, key: str | bytes, age: float) -> None:
        """An operator has unlocked `key` `age` seconds ago at another instance that could not reach the storage: do so
        here, and tell the storage at the next heartbeat. What failed since then counts, and a lock since then holds.

        For programs whose instances reach each other by another way than the storage.
        """
        self._records.release_as_of(listed_key(key), age)

    def locked(self) -> list[Lock]:
        """For operators: the locked keys, as they are stored, and for how many more seconds; the soonest first."""
        return self._records.locked()

    def failures(self, key: str | bytes) -> int:
        """For operators: how many failures of `key` count now; 0 while it is locked."""
        return self._records.failures(listed_key(key))

    def _must_ask(self, key: str) -> bool:
        if self._records.stands_against(key) or key in self._deciding:
            return True
        return self._budget is not None and self._budget.closed_to(key)

    def _count_abandoned(self, key: str, id_: str) -> None:
        if not self._deny:
            self._fail_here(key, id_)

    def _fail_here(self, key: str, id_: str) -> Verdict:
        if self._budget is not None and (wait := self._budget.charge(key, failed=True)) > 0:
            return self._refused(key, wait)
        verdict = self._records.fail(key, id_)
        self._report(key, verdict)
        return verdict

    def _succeed_here(self, key: str) -> Verdict:
        if self._budget is not None:
            if (wait := self._budget.charge(key, failed=False)) > 0:
                return self._refused(key, wait)
            self._budget.remember(key)
        self._records.succeed(key)
        return Verdict(allowed=True, remaining=self.policy.max_attempts, retry_after=0.0)

    def _report(self, key: str, verdict: Verdict) -> None:
        if not verdict.allowed:
            self._refused(key, verdict.retry_after)
            return
        emit(self._on_event, Event(EventKind.FAILURE, self.kind, key))
        if verdict.remaining == 0:
            emit(self._on_event, Event(EventKind.LOCKED, self.kind, key, verdict.retry_after))

    def _refused(self, key: str, wait: float) -> Verdict:
        emit(self._on_event, Event(EventKind.REFUSED, self.kind, key, wait))
        return Verdict(allowed=False, remaining=0, retry_after=wait)


def _stored(key: str | bytes) -> str:
    """`stored_key`, fast for keys as they usually are: short and ASCII."""
    return key if key.__class__ is str and len(key) <= MAX_KEY_BYTES and key.isascii() else stored_key(key)


def _check(
    policy: LockoutPolicy, budget: BudgetPolicy | None, kind: str, while_away: str, *, has_both_clocks: bool
) -> None:
    if not isinstance(policy, LockoutPolicy):
        raise ConfigurationError(f"policy must be a LockoutPolicy, not {type(policy).__name__}")
    if budget is not None and not isinstance(budget, BudgetPolicy):
        raise ConfigurationError(f"budget must be a BudgetPolicy, not {type(budget).__name__}")
    require_kind(kind)
    if while_away not in ("local", "deny"):
        raise ConfigurationError(f'while_away must be "local" or "deny", not {while_away!r}')
    if has_both_clocks:
        raise ConfigurationError("clock: give it to the link, which all its limiters share")
