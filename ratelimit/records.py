"""Failures and locks per key as one process knows them. Pure state: no waiting, no storage; keys are opaque.

Alone it decides (`fail`). With a shared storage it is the replica that answers without a round trip (`locked_for`,
`has_failures`), that takes what other instances report (`add`, `lock`, `clear`), and that decides while the storage is
away. Everybody's failures together are the business of `budget`.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from ratelimit.policy import LockoutPolicy
from ratelimit.verdict import Verdict


class Failure(NamedTuple):
    """One failure: when, and a name that is unique over all instances, so that it is never counted twice."""

    time: float
    id: str


class Entry(NamedTuple):
    """What is known of one key: its history is void up to `until` (a time to come: it is locked), then `failures`."""

    key: str
    until: float
    failures: tuple[Failure, ...]


class Records:
    """Failure number `max_attempts` within the window is still allowed and starts the lock; later ones are not allowed
    and neither counted nor able to prolong it. When the lock ends the history is clean.

    At most `capacity` keys are kept. The key whose last failure is oldest makes room for a new one, locks never do: an
    attacker can't wash a lock away by failing under other keys. When all are locks, new keys are refused for one
    lockout period.

    With `shared`, what `fail` and `succeed` decide here is remembered as not shared yet, until `take_unshared`.
    """

    def __init__(self, policy: LockoutPolicy, *, clock: Callable[[], float], capacity: int, shared: bool) -> None:
        self.policy = policy
        self._is_shared = shared
        self._clock = clock
        self._capacity = capacity
        # Both are kept in order of time, so what is over is always at the front and is dropped in passing.
        self._failures: OrderedDict[str, deque[Failure]] = OrderedDict()
        self._locks: OrderedDict[str, float] = OrderedDict()
        self._unshared: dict[str, float] = {}
        self._overflow_until = 0.0

    def __len__(self) -> int:
        """Keys on record, expired ones that were not dropped yet included."""
        return len(self._failures) + len(self._locks)

    def locked_for(self, key: str) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        until = self._locks.get(key)
        if until is None:
            if not self._overflow_until:
                return 0.0
            until = self._overflow_until
        return max(0.0, until - self._clock())

    def has_failures(self, key: str) -> bool:
        """Whether failures of `key` are on record, so that a success should clear them."""
        return key in self._failures

    def fail(self, key: str, id: str) -> Verdict:  # noqa: A002  the field's name
        """Decide about one failure of `key`, here and now."""
        now = self._clock()
        self._drop_expired(now)
        until = self._locks.get(key, self._overflow_until)  # to come, or it would have been dropped
        if until:
            return Verdict(allowed=False, remaining=0, retry_after=until - now)
        if key not in self._failures and not self._make_room(now):
            return Verdict(allowed=False, remaining=0, retry_after=self.policy.lockout)
        count = self._append(key, Failure(now, id), now)
        self._note_unshared(key, 0.0, now)
        remaining = self.policy.max_attempts - count
        if remaining > 0:
            return Verdict(allowed=True, remaining=remaining, retry_after=0.0)
        self.lock(key, now + self.policy.lockout)
        return Verdict(allowed=True, remaining=0, retry_after=self.policy.lockout)

    def succeed(self, key: str) -> None:
        """Forget the failures of `key`; a lock stays."""
        now = self._clock()
        self._drop_expired(now)
        if self._failures.pop(key, None) is not None:
            self._note_unshared(key, now, now)

    def add(self, key: str, failure: Failure) -> bool:
        """Take over a failure that was decided elsewhere; whether it was news."""
        now = self._clock()
        self._drop_expired(now)
        known = self._failures.get(key)
        if key in self._locks or (known is not None and any(failure.id == one.id for one in known)):
            return False
        if known is None and not self._make_room(now):
            return False
        self._append(key, failure, now)
        return True

    def lock(self, key: str, until: float) -> None:
        """`key` is locked until then, or longer if it is already."""
        self._failures.pop(key, None)
        if until > self._locks.get(key, 0.0):
            self._locks[key] = until
            self._locks.move_to_end(key)

    def clear(self, key: str, until: float) -> None:
        """Failures of `key` up to that time are void: a success was told elsewhere."""
        kept = deque(failure for failure in self._failures.get(key, ()) if failure.time > until)
        if kept:
            self._failures[key] = kept
        else:
            self._failures.pop(key, None)

    def entries(self, keys: Collection[str] | None = None) -> Iterator[Entry]:
        """What is known of these keys, of all by default."""
        chosen = list(self._failures) + list(self._locks) if keys is None else keys
        for key in chosen:
            yield Entry(key, self._locks.get(key, 0.0), tuple(self._failures.get(key, ())))

    @property
    def has_unshared(self) -> bool:
        """Whether `take_unshared` would give anything."""
        return bool(self._unshared)

    def take_unshared(self) -> dict[str, float]:
        """Keys about which something was decided here since the last call → up to when their history is void."""
        taken, self._unshared = self._unshared, {}
        return taken

    def shift(self, seconds: float) -> None:
        """The clock has jumped: move all times with it, so that every lock lasts as long as it would have."""
        for key, times in self._failures.items():
            self._failures[key] = deque(Failure(failure.time + seconds, failure.id) for failure in times)
        for key in self._locks:
            self._locks[key] += seconds
        for key, cleared in self._unshared.items():
            self._unshared[key] = cleared + seconds if cleared else 0.0
        self._overflow_until += seconds if self._overflow_until else 0.0

    def _append(self, key: str, failure: Failure, now: float) -> int:
        times = self._failures.pop(key, None)
        if times is None:
            times = deque()
        while times and times[0].time <= now - self.policy.window:
            times.popleft()
        times.append(failure)
        self._failures[key] = times
        return len(times)

    def _note_unshared(self, key: str, cleared: float, now: float) -> None:
        if not self._is_shared:
            return
        if len(self._unshared) >= self._capacity:
            oldest = now - self.policy.window
            self._unshared = {
                known: until
                for known, until in self._unshared.items()
                if until > oldest or known in self._failures or known in self._locks
            }
        self._unshared[key] = max(cleared, self._unshared.get(key, 0.0))

    def _drop_expired(self, now: float) -> None:
        while self._locks and next(iter(self._locks.values())) <= now:
            self._locks.popitem(last=False)
        while self._failures and next(iter(self._failures.values()))[-1].time <= now - self.policy.window:
            self._failures.popitem(last=False)
        if self._overflow_until <= now:
            self._overflow_until = 0.0

    def _make_room(self, now: float) -> bool:
        if len(self) < self._capacity:
            return True
        if self._failures:
            self._failures.popitem(last=False)
            return True
        self._overflow_until = now + self.policy.lockout
        return False
