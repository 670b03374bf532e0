"""Quotas counted in this process, by the sliding window of `limits`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limits.aio.strategies import SlidingWindowCounterRateLimiter

from openclaw_ratelimit.limit_status import LimitStatus, QuotaUsage, of_runs, of_window, usage_of
from openclaw_ratelimit.memory import ProcessStorage, WindowRecord
from openclaw_ratelimit.quota_policy import Share


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether all of the shares had room, and what is left now. `shares` are those counted under (the overflow's for
    callers for whom there is no room in the table), `starts` identify the windows that were counted in.
    """

    allowed: bool
    statuses: tuple[LimitStatus, ...]
    starts: tuple[float, ...]
    shares: tuple[Share, ...]


class LocalQuota:
    """Windows and running runs by key. No call waits for anything, so each is one step, however many come at once.

    `clock` is in seconds. There are at most `capacity` windows. When all of them count, further callers share one
    window per policy, so that nobody gets a fresh quota by filling the table under other names.
    """

    def __init__(self, clock: Callable[[], float], capacity: int) -> None:
        self._storage = ProcessStorage(clock, capacity)
        self._windows = SlidingWindowCounterRateLimiter(self._storage)
        self._running: dict[str, set[str]] = {}
        self._reserved: dict[str, int] = {}  # under strict policies, by work that is not settled

    async def reserve(self, shares: Sequence[Share], costs: Sequence[int], run: str) -> Decision:
        """Take `costs` of all shares, or nothing of any."""
        shares = self._placed(shares)
        fits = True
        for share, cost in zip(shares, costs, strict=True):
            if share.policy.counts == "runs":
                fits = fits and len(self._running.get(share.key, ())) + cost <= share.policy.amount
            else:
                fits = fits and await self._windows.test(share.policy.item, share.key, cost=cost)
        starts = self._take(shares, costs, run) if fits else ()
        return Decision(fits, await self._statuses(shares, costs, allowed=fits), starts, shares)

    def take(
        self, shares: Sequence[Share], costs: Sequence[int], run: str
    ) -> tuple[tuple[Share, ...], tuple[float, ...]]:
        """Count whatever the limits; says under which shares, and when their windows began (0.0 for runs)."""
        placed = self._placed(shares)
        return placed, self._take(placed, costs, run)

    def settle(self, shares: Sequence[Share], corrections: Sequence[int], starts: Sequence[float], run: str) -> None:
        """The run is over: count what `corrections` say now, or (negative) take it back from the windows that began at
        `starts`.
        """
        for share, correction, start in zip(shares, corrections, starts, strict=True):
            if share.policy.counts == "runs":
                self.end(share, run)
            elif correction > 0:
                self._storage.count(share.key, share.policy.window, correction)
            elif correction:
                self._storage.give_back(share.key, share.policy.window, start, -correction)

    def release(self, shares: Sequence[Share], costs: Sequence[int]) -> None:
        """The work that has reserved `costs` is over; `settle` says what it has used."""
        for share, cost in zip(shares, costs, strict=True):
            if share.policy.strict and (reserved := self._reserved.pop(share.key, 0) - cost) > 0:
                self._reserved[share.key] = reserved

    async def usage(self, shares: Sequence[Share]) -> tuple[QuotaUsage, ...]:
        """What has been used of each window."""
        usages = []
        for share in shares:
            previous, left, current, _ = await self._storage.get_sliding_window(share.key, share.policy.window)
            usages.append(usage_of(share.policy, previous, current, left, self.reserved(share)))
        return tuple(usages)

    def reserved(self, share: Share) -> int:
        """What work of this process that is not settled has reserved under a strict policy."""
        return self._reserved.get(share.key, 0)

    def end(self, share: Share, run: str) -> None:
        """Free the place of the run, if it still has one."""
        running = self._running.get(share.key)
        if running is not None:
            running.discard(run)
            if not running:
                del self._running[share.key]

    def reset(self, key: str) -> None:
        """Forget what was counted in a window."""
        self._storage.forget(key)

    def take_changes(self, wanted: Callable[[str], bool]) -> list[WindowRecord]:
        """The windows that have changed since the last call, of policies whose name is `wanted`."""
        return self._storage.take_changes(lambda key: wanted(key.split(":")[1]))

    def restore(self, window: WindowRecord, passed: float) -> None:
        """Count on from a window that was taken `passed` seconds ago."""
        self._storage.restore(window, passed)

    def _placed(self, shares: Sequence[Share]) -> tuple[Share, ...]:
        return tuple(
            share if share.policy.counts == "runs" or self._storage.has_room(share.key) else share.overflow()
            for share in shares
        )

    def _take(self, shares: Sequence[Share], costs: Sequence[int], run: str) -> tuple[float, ...]:
        starts = []
        for share, cost in zip(shares, costs, strict=True):
            if share.policy.counts == "runs":
                self._running.setdefault(share.key, set()).add(run)
                starts.append(0.0)
            else:
                starts.append(self._storage.count(share.key, share.policy.window, cost))
                if share.policy.strict:
                    self._reserved[share.key] = self._reserved.get(share.key, 0) + cost
        return tuple(starts)

    async def _statuses(
        self, shares: Sequence[Share], costs: Sequence[int], *, allowed: bool
    ) -> tuple[LimitStatus, ...]:
        statuses = []
        for share, cost in zip(shares, costs, strict=True):
            missing = 0 if allowed else cost
            if share.policy.counts == "runs":
                statuses.append(of_runs(share.policy, len(self._running.get(share.key, ())), missing))
            else:
                window = await self._storage.get_sliding_window(share.key, share.policy.window)
                previous, left, current, _ = window
                statuses.append(of_window(share.policy, previous, current, left, missing))
        return tuple(statuses)
