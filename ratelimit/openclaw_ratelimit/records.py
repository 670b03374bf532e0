"""Failures and locks per key as one process knows them. Pure state: no waiting, no storage; keys are opaque.

Without a shared storage it decides (`fail`). With one it is the replica: it answers without a round trip (`locked_for`,
`has_failures`), applies what other instances publish (`add`, `lock`, `clear`, `apply_release`), and decides while the
storage is away. `budget` counts the failures of all keys together.
"""

import heapq
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from openclaw_ratelimit.policy import LockoutPolicy
from openclaw_ratelimit.verdict import Lock, Verdict

_TICK = 0.001  # seconds: the resolution of the shared storage
_SPARE = 64  # stale entries of the heap that are not worth a new one


class Failure(NamedTuple):
    """One failure: when, and an id that is unique over all instances, so that it is never counted twice."""

    time: float
    id: str


class Entry(NamedTuple):
    """The record of one key: the end of its lock, or 0.0; the end of the last released lock, or 0.0; failures."""

    key: str
    locked: float
    released: float
    failures: tuple[Failure, ...]


class Records:
    """Failure number `max_attempts` within the window is still allowed and starts the lock; later ones are not allowed
    and neither counted nor able to prolong it. When the lock ends the history is clean.

    There are at most `capacity` keys. The key whose last failure is oldest makes room for a new one, locks never do: an
    attacker can't wash a lock away by failing under other keys. When all are locks, new keys are refused for one
    lockout period.

    With `shared`, keys with decisions made here count as unsynced, until `pop_unsynced`.
    """

    def __init__(self, policy: LockoutPolicy, *, clock: Callable[[], float], capacity: int, shared: bool) -> None:
        self.policy = policy
        self._is_shared = shared
        self._clock = clock
        self._capacity = capacity
        # In order of the last failure (nearly: other instances' come late), so that the oldest is found at the front.
        self._failures: OrderedDict[str, deque[Failure]] = OrderedDict()
        self._locks: dict[str, float] = {}
        self._ends: list[tuple[float, str]] = []  # heap: when locks end; entries that no lock agrees with are stale
        self._released: dict[str, float] = {}
        self._released_until = 0.0  # when the first of them is over; earlier if that one was dropped
        self._unsynced: dict[str, float] = {}
        self._overflow_until = 0.0

    def __len__(self) -> int:
        """Keys on record."""
        now = self._clock()
        self._drop_expired(now)
        oldest = now - self.policy.window
        for key in [key for key, times in self._failures.items() if times[-1].time <= oldest]:
            del self._failures[key]
        return len(self._failures) + len(self._locks)

    def locked_for(self, key: str) -> float:
        """Seconds until `key` may try again, 0.0 when it may now."""
        until = self._locks.get(key)
        if until is None:
            if not self._overflow_until:
                return 0.0
            until = self._overflow_until
        return max(0.0, until - self._clock())

    def stands_against(self, key: str) -> bool:
        """Whether `key` is locked or has failures on record, so that a success should clear them."""
        if key not in self._failures and key not in self._locks and not self._overflow_until:
            return False  # as nearly always
        return self.has_failures(key) or self.locked_for(key) > 0

    def has_failures(self, key: str) -> bool:
        """Whether failures of `key` are on record."""
        return bool(self.failures(key))

    def failures(self, key: str) -> int:
        """How many failures of `key` count now; 0 while it is locked."""
        oldest = self._clock() - self.policy.window
        return sum(failure.time > oldest for failure in self._failures.get(key, ()))

    def locked(self) -> list[Lock]:
        """All locks, the one that ends first at the front."""
        now = self._clock()
        self._drop_expired(now)
        return sorted((Lock(key, until - now) for key, until in self._locks.items()), key=lambda lock: lock.seconds)

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
        self._note_unsynced(key, 0.0, now)
        remaining = self.policy.max_attempts - count
        if remaining > 0:
            return Verdict(allowed=True, remaining=remaining, retry_after=0.0)
        self.lock(key, max(now + self.policy.lockout, self._released.get(key, 0.0) + _TICK))
        return Verdict(allowed=True, remaining=0, retry_after=self.policy.lockout)

    def succeed(self, key: str) -> None:
        """Forget the failures of `key`; a lock stays."""
        now = self._clock()
        self._drop_expired(now)
        if self._failures.pop(key, None) is not None:
            self._note_unsynced(key, now, now)

    def release(self, key: str) -> bool:
        """An operator unlocks `key` and forgets its failures. Returns whether it was locked or had failures."""
        now = self._clock()
        stood = self.stands_against(key)
        until = max(self._locks.get(key, 0.0), now + self.policy.lockout)
        self.apply_release(key, until, now)
        self._note_unsynced(key, now, now)
        return stood

    def release_as_of(self, key: str, age: float) -> None:
        """`release`, `age` seconds ago: what failed and what was locked since then stands."""
        now = self._clock()
        if 0.0 <= age < max(self.policy.lockout, self.policy.window):
            self.apply_release(key, now - age + self.policy.lockout, now - age)
            self._note_unsynced(key, now - age, now)

    def add(self, key: str, failure: Failure) -> bool:
        """Add a failure that another instance or the storage has counted. Returns whether it was new."""
        now = self._clock()
        self._drop_expired(now)
        known = self._failures.get(key)
        if key in self._locks or failure.time <= now - self.policy.window:
            return False
        if known is not None and any(failure.id == one.id for one in known):
            return False
        if known is None and not self._make_room(now):
            return False
        self._append(key, failure, now)
        return True

    def lock(self, key: str, until: float) -> None:
        """`key` is locked until then, or longer if it is already, unless that lock was released."""
        if until <= self._released.get(key, 0.0):
            return
        self._failures.pop(key, None)
        if until > self._locks.get(key, 0.0):
            self._locks[key] = until
            heapq.heappush(self._ends, (until, key))
            if len(self._ends) > 2 * len(self._locks) + _SPARE:
                self._order_locks()

    def clear(self, key: str, until: float) -> None:
        """Forget failures of `key` up to that time: another instance has counted a success."""
        later = deque(failure for failure in self._failures.get(key, ()) if failure.time > until)
        if later:
            self._failures[key] = later
        else:
            self._failures.pop(key, None)

    def apply_release(self, key: str, until: float, time: float) -> None:
        """An operator unlocked `key` at that time: locks that end at `until` or earlier don't count."""
        now = self._clock()
        if until > now:
            if len(self._released) >= self._capacity and key not in self._released:
                self._drop_released(now)
            self._released[key] = max(until, self._released.get(key, 0.0))
        if self._locks.get(key, now) <= until:
            self._locks.pop(key, None)
            self._overflow_until = 0.0  # there is room again
        self.clear(key, time)

    def entries(self, keys: Collection[str] | None = None) -> Iterator[Entry]:
        """The records of these keys, of all by default."""
        self._drop_expired(self._clock())
        chosen = [*self._failures, *self._locks, *self._released] if keys is None else keys
        for key in dict.fromkeys(chosen):
            yield Entry(
                key, self._locks.get(key, 0.0), self._released.get(key, 0.0), tuple(self._failures.get(key, ()))
            )

    @property
    def has_unsynced(self) -> bool:
        """Whether `pop_unsynced` would give anything."""
        return bool(self._unsynced)

    def pop_unsynced(self) -> dict[str, float]:
        """Keys with decisions made here since the last call → the time up to which their failures are cleared."""
        taken, self._unsynced = self._unsynced, {}
        return taken

    def put_back_unsynced(self, unsynced: dict[str, float]) -> None:
        """What `pop_unsynced` gave could not be sent."""
        for key, cleared in unsynced.items():
            self._unsynced[key] = max(cleared, self._unsynced.get(key, 0.0))

    def shift(self, seconds: float) -> None:
        """The clock has jumped: move all times with it, so that no lock gets longer or shorter."""
        for key, times in self._failures.items():
            self._failures[key] = deque(Failure(failure.time + seconds, failure.id) for failure in times)
        self._locks = {key: until + seconds for key, until in self._locks.items()}
        self._released = {key: until + seconds for key, until in self._released.items()}
        self._released_until = 0.0
        self._unsynced = {key: until + seconds if until else 0.0 for key, until in self._unsynced.items()}
        self._overflow_until += seconds if self._overflow_until else 0.0
        self._order_locks()

    def _append(self, key: str, failure: Failure, now: float) -> int:
        times = self._failures.pop(key, None)
        if times is None:
            times = deque()
        while times and times[0].time <= now - self.policy.window:
            times.popleft()
        if times and failure.time < times[-1].time:  # another instance's, which comes late
            ordered = list(times)
            insort(ordered, failure)
            times = deque(ordered)
        else:
            times.append(failure)
        self._failures[key] = times
        return len(times)

    def _order_locks(self) -> None:
        self._ends = [(until, key) for key, until in self._locks.items()]
        heapq.heapify(self._ends)

    def _note_unsynced(self, key: str, cleared: float, now: float) -> None:
        if not self._is_shared:
            return
        if len(self._unsynced) >= 2 * self._capacity:
            self._drop_unsynced(now)
        self._unsynced[key] = max(cleared, self._unsynced.get(key, 0.0))

    def _drop_expired(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            until, key = heapq.heappop(self._ends)
            if self._locks.get(key) == until:
                del self._locks[key]
        while self._failures and next(iter(self._failures.values()))[-1].time <= now - self.policy.window:
            self._failures.popitem(last=False)
        if self._overflow_until <= now:
            self._overflow_until = 0.0

    def _drop_unsynced(self, now: float) -> None:
        """Keep keys with records or a success that still matters, at most `capacity`: seldom, as it looks at all."""
        oldest = now - self.policy.window
        live = [
            (key, until)
            for key, until in self._unsynced.items()
            if until > oldest or key in self._failures or key in self._locks
        ]
        self._unsynced = dict(live[-self._capacity :])

    def _drop_released(self, now: float) -> None:
        """Make room for another released lock. Looks at all of them only when one is over."""
        if self._released_until <= now:
            self._released = {known: end for known, end in self._released.items() if end > now}
            self._released_until = min(self._released.values(), default=0.0)
        if len(self._released) >= self._capacity:
            del self._released[next(iter(self._released))]

    def _make_room(self, now: float) -> bool:
        if len(self._failures) + len(self._locks) < self._capacity:
            return True
        if self._failures:
            self._failures.popitem(last=False)
            return True
        self._overflow_until = now + self.policy.lockout
        return False
