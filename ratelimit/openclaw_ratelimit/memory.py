"""A storage for strategies of `limits` that lives in this process and takes its clock from outside.

`limits` has a memory storage of its own, but that one reads the wall clock, and each hit starts a background task with
a thread hop that nobody awaits (5.8: about 100 µs of processor time per hit; this one: under 1).
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from limits.aio.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

_SAME = 0.001  # seconds by which two starts of one window may differ, as they are sums of floats


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A sliding window as it can be stored: its key, its width, and how long ago it began (seconds), and its counts."""

    key: str
    width: int
    age: float
    previous: int
    current: int


@dataclass(slots=True)
class _Counts:
    """A sliding window: what was counted since `start` and in the window before that. After `until` nothing counts."""

    start: float
    until: float
    previous: int = 0
    current: int = 0


class ProcessStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """Counters and windows in dictionaries. Nothing here ever waits, so calls without awaits of others between them are
    one step.

    Counters and moving windows are for few keys, because only `reset` and `clear` remove any. There are at most
    `capacity` sliding windows: a new one replaces the least recently counted. `has_room` tells beforehand.
    """

    STORAGE_SCHEME = None  # Never made from a URI: it needs its clock.

    def __init__(self, clock: Callable[[], float], capacity: int = 10_000) -> None:
        super().__init__()
        self._clock = clock
        self._capacity = capacity
        self._counters: dict[str, tuple[int, float]] = {}
        self._windows: dict[str, deque[float]] = {}
        self._sliding: OrderedDict[str, _Counts] = OrderedDict()
        self._changed: dict[str, int] | None = None  # sliding windows since the last `take_changes`, with their width
        self._ends: list[tuple[float, str]] = []  # heap: when windows end; entries of a window that went on are stale

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """Nothing here can be unavailable."""
        return ()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take `amount` places of `limit` in the moving window of `expiry` seconds, all or none."""
        times = self._window(key, expiry)
        if len(times) + amount > limit:
            return False
        times.extend([self._clock()] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest place of the window was taken (now, if none is), and how many are, at most `limit`."""
        times = self._window(key, expiry)
        return (times[0] if times else self._clock()), min(len(times), limit)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take `amount` places of `limit` in the sliding window of `expiry` seconds, all or none."""
        previous, left, current, _ = await self.get_sliding_window(key, expiry)
        if floor(previous * left / expiry + current) + amount > limit:
            return False
        self.count(key, expiry, amount)
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The count of the window before this one and the seconds for which it fades on, then the same of this one.

        A key's first window begins when something is first counted, so that not all keys begin anew at the same time.
        """
        now = self._clock()
        counts = self._sliding.get(key)
        if counts is None:
            return 0, float(expiry), 0, 2.0 * expiry
        _roll(counts, now, expiry)
        left = counts.start + expiry - now
        return counts.previous, left, counts.current, left + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002  the strategy passes it
        """Forget one key's sliding window."""
        self._sliding.pop(key, None)

    def has_room(self, key: str) -> bool:
        """Whether counting in the sliding window `key` would not push out another one that still counts."""
        if key in self._sliding or len(self._sliding) < self._capacity:
            return True
        self._drop_expired(self._clock())
        return len(self._sliding) < self._capacity

    def count(self, key: str, expiry: int, amount: int) -> float:
        """Add to the sliding window whatever its limit; says when that window began."""
        now = self._clock()
        counts = self._sliding.get(key)
        if counts is None:
            self._drop_expired(now)
            counts = self._sliding[key] = _Counts(now, 0.0)
            if len(self._sliding) > self._capacity:
                self._sliding.popitem(last=False)
        _roll(counts, now, expiry)
        until = counts.start + 2 * expiry
        if until != counts.until:
            counts.until = until
            heapq.heappush(self._ends, (until, key))
        counts.current += amount
        self._sliding.move_to_end(key)
        if self._changed is not None:
            self._changed[key] = expiry
        return counts.start

    def forget(self, key: str) -> None:
        """Forget the sliding window."""
        self._sliding.pop(key, None)

    def give_back(self, key: str, expiry: int, start: float, amount: int) -> None:
        """Take back what was counted too much in the window that began at `start`, unless that has faded away."""
        counts = self._sliding.get(key)
        if counts is None:
            return
        _roll(counts, self._clock(), expiry)
        if abs(counts.start - start) < _SAME:
            counts.current = max(0, counts.current - amount)
        elif abs(counts.start - expiry - start) < _SAME:
            counts.previous = max(0, counts.previous - amount)
        if self._changed is not None:
            self._changed[key] = expiry

    def take_changes(self, wanted: Callable[[str], bool]) -> list[WindowRecord]:
        """The sliding windows that have changed since the last call, if `wanted` accepts their key."""
        changed, self._changed = self._changed or {}, {}
        now, records = self._clock(), []
        for key, width in changed.items():
            counts = self._sliding.get(key)
            if counts is not None and wanted(key):
                _roll(counts, now, width)
                records.append(WindowRecord(key, width, now - counts.start, counts.previous, counts.current))
        return records

    def restore(self, window: WindowRecord, passed: float) -> None:
        """Add a window that was taken `passed` seconds ago, unless it has faded away or there is no room."""
        now = self._clock()
        counts = _Counts(now - window.age - passed, 0.0, window.previous, window.current)
        _roll(counts, now, window.width)
        if not (counts.previous or counts.current) or not self.has_room(window.key):
            return
        counts.until = counts.start + 2 * window.width
        heapq.heappush(self._ends, (counts.until, window.key))
        self._sliding[window.key] = counts

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter that starts over `expiry` seconds after its first addition."""
        now = self._clock()
        count, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + expiry
        self._counters[key] = count + amount, until
        return count + amount

    async def get(self, key: str) -> int:
        """A counter's value, 0 when it is over."""
        count, until = self._counters.get(key, (0, 0.0))
        return count if until > self._clock() else 0

    async def get_expiry(self, key: str) -> float:
        """When a counter starts over, by the storage's clock."""
        return self._counters.get(key, (0, self._clock()))[1]

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def reset(self) -> int | None:
        """Forget everything; says how many keys."""
        forgotten = len(self._counters.keys() | self._windows.keys() | self._sliding.keys())
        self._counters.clear()
        self._windows.clear()
        self._sliding.clear()
        self._ends.clear()
        return forgotten

    async def clear(self, key: str) -> None:
        """Forget one key."""
        self._counters.pop(key, None)
        self._windows.pop(key, None)
        self._sliding.pop(key, None)

    def _drop_expired(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            counts = self._sliding.get(key)
            if counts is not None and counts.until <= now:
                del self._sliding[key]

    def _window(self, key: str, expiry: int) -> deque[float]:
        times = self._windows.setdefault(key, deque())
        oldest = self._clock() - expiry
        while times and times[0] <= oldest:
            times.popleft()
        return times


def _roll(counts: _Counts, now: float, expiry: int) -> None:
    """Bring the counts to the window of now. When nothing counts any more, a new one begins."""
    passed = floor((now - counts.start) / expiry)
    if passed:
        counts.start += expiry
        counts.previous, counts.current = counts.current if passed == 1 else 0, 0
    if not (counts.previous or counts.current):
        counts.start = now
