"""Quotas counted in this process, by the sliding window of `limits`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limits.aio.strategies import SlidingWindowCounterRateLimiter

from ratelimit.memory import ProcessStorage
from ratelimit.quota_policy import Share
from ratelimit.quota_standing import Standing, of_runs, of_window


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether all of the shares had room, and how they stand now. `starts` tell the windows that were counted in."""

    allowed: bool
    standings: tuple[Standing, ...]
    starts: tuple[float, ...]


class LocalQuota:
    """Windows and running runs by key. No call waits for anything, so each is one step, however many come at once.

    `clock` is in seconds. At most `capacity` windows are kept, the one that was counted in longest ago making room.
    """

    def __init__(self, clock: Callable[[], float], capacity: int) -> None:
        self._storage = ProcessStorage(clock, capacity)
        self._windows = SlidingWindowCounterRateLimiter(self._storage)
        self._running: dict[str, int] = {}

    async def reserve(self, shares: Sequence[Share], costs: Sequence[int]) -> Decision:
        """Take `costs` of all shares, or nothing of any."""
        fits = True
        for share, cost in zip(shares, costs, strict=True):
            if share.policy.counts == "runs":
                fits = fits and self._running.get(share.key, 0) + cost <= share.policy.amount
            else:
                fits = fits and await self._windows.test(share.policy.item, share.key, cost=cost)
        starts = self.take(shares, costs) if fits else ()
        return Decision(fits, await self._standings(shares, costs, allowed=fits), starts)

    def take(self, shares: Sequence[Share], costs: Sequence[int]) -> tuple[float, ...]:
        """Count whatever the limits; says when the windows began that were counted in (0.0 for runs)."""
        starts = []
        for share, cost in zip(shares, costs, strict=True):
            if share.policy.counts == "runs":
                self._running[share.key] = self._running.get(share.key, 0) + cost
                starts.append(0.0)
            else:
                starts.append(self._storage.count(share.key, share.policy.window, cost))
        return tuple(starts)

    def settle(self, shares: Sequence[Share], corrections: Sequence[int], starts: Sequence[float]) -> None:
        """The run is over: count tokens of `corrections` now, or take them back from the windows that began then."""
        for share, tokens, start in zip(shares, corrections, starts, strict=True):
            if share.policy.counts == "runs":
                self._release(share)
            elif tokens > 0:
                self._storage.count(share.key, share.policy.window, tokens)
            elif tokens:
                self._storage.give_back(share.key, share.policy.window, start, -tokens)

    def _release(self, share: Share) -> None:
        running = self._running[share.key] - 1
        if running:
            self._running[share.key] = running
        else:
            del self._running[share.key]

    async def _standings(self, shares: Sequence[Share], costs: Sequence[int], *, allowed: bool) -> tuple[Standing, ...]:
        standings = []
        for share, cost in zip(shares, costs, strict=True):
            missing = 0 if allowed else cost
            if share.policy.counts == "runs":
                standings.append(of_runs(share.policy, self._running.get(share.key, 0), missing))
            else:
                window = await self._storage.get_sliding_window(share.key, share.policy.window)
                previous, left, current, _ = window
                standings.append(of_window(share.policy, previous, current, left, missing))
        return tuple(standings)
