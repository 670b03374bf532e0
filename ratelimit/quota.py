"""Quotas: requests and tokens in a sliding window, runs at the same time. Reserved before a run, settled after it.

Which policies there are is the business of `quota_policy`, counting that of `quota_local` and `quota_shared`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from ratelimit.errors import StorageUnavailable
from ratelimit.link import Link
from ratelimit.quota_local import LocalQuota
from ratelimit.quota_policy import Attributes, QuotaPolicy, Share, shares_of
from ratelimit.quota_shared import SharedQuota
from ratelimit.quota_standing import Standing

_CACHED_ASKERS = 10_000
_LONGEST_CACHED = 512  # characters of an asker's attributes


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no room under at least one policy, and nothing was taken of any.

    `standings` are those of all policies that apply. `retry_after` is seconds until what was asked will fit if nobody
    else takes it (at that very moment not yet), None when it never will.
    """

    standings: tuple[Standing, ...]

    @property
    def violated(self) -> tuple[Standing, ...]:
        """The standings of the policies without room."""
        return tuple(standing for standing in self.standings if standing.wait != 0.0)

    @property
    def retry_after(self) -> float | None:
        """See the class."""
        waits = [standing.wait for standing in self.standings]
        return None if None in waits else max(wait for wait in waits if wait is not None)


class Reservation:
    """A place under every policy that applies. `settle` it in every ending of what it was made for."""

    __slots__ = ("_costs", "_local", "_settled", "_shares", "_starts", "_there", "standings")

    def __init__(
        self,
        shares: Sequence[Share],
        costs: Sequence[int],
        standings: tuple[Standing, ...],
        local: tuple[LocalQuota, Sequence[float]],
        shared: tuple[SharedQuota, Sequence[float] | None, str] | None,
    ) -> None:
        self.standings = standings
        """How the policies that apply stand since."""
        self._shares = shares
        self._costs = costs
        self._local, self._starts = local
        self._there = shared
        self._settled = not shares

    async def settle(self, tokens: int) -> None:
        """The run is over and took so many tokens in truth: count the difference and free its place. Once; a second
        call changes nothing. With a shared storage it returns when that knows, or is known to be away.

        Fewer tokens than reserved are taken back from where they were counted, more are counted now.
        """
        if self._settled:
            return
        self._settled = True
        corrections = [
            tokens - cost if share.policy.counts == "tokens" else 0
            for share, cost in zip(self._shares, self._costs, strict=True)
        ]
        self._local.settle(self._shares, corrections, self._starts)
        if self._there is not None:
            shared, starts, run = self._there
            await shared.settle(self._shares, corrections, starts, run)


class Quota:
    """Decides over `policies` for askers that are known by their attributes.

    All policies that apply must have room, or nothing is taken; however many ask at once, none lets more through than
    its amount. `clock` is in seconds. At most `capacity` windows are kept, the one that was counted in longest ago
    making room.

    With a `link` (not opened yet) all instances count together, and by themselves while the storage is away. A run's
    place is free again `lease` seconds after its instance has died. `server_time` replaces the storage's time in tests.
    """

    def __init__(
        self,
        policies: Sequence[QuotaPolicy],
        *,
        link: Link | None = None,
        lease: int = 30,
        clock: Callable[[], float] = time.monotonic,
        server_time: Callable[[], float] | None = None,
        capacity: int = 10_000,
    ) -> None:
        self._policies = tuple(policies)
        self._local = LocalQuota(clock, capacity)
        self._shared = SharedQuota(link, clock=clock, lease=lease, server_time=server_time) if link else None
        self._cached = lru_cache(_CACHED_ASKERS)(self._shares_of)

    async def reserve(self, attributes: Attributes, tokens: int, at_least: int = 0) -> Reservation | Refusal:
        """Take a request, `tokens` tokens and a run for this asker.

        An estimate that is more than a whole quota takes all of it. Never granted is what takes more than that for
        certain, which is `at_least` tokens.
        """
        cacheable = sum(len(value) for _, value in attributes) <= _LONGEST_CACHED
        shares = (self._cached if cacheable else self._shares_of)(attributes)
        if not shares:
            return Reservation((), (), (), (self._local, ()), None)
        costs = tuple(_cost(share.policy, tokens, at_least) for share in shares)
        if self._shared is not None and self._shared.available:
            with suppress(StorageUnavailable):
                return await self._reserve_there(self._shared, shares, costs)
        return await self._reserve_here(shares, costs)

    async def _reserve_there(
        self, shared: SharedQuota, shares: Sequence[Share], costs: Sequence[int]
    ) -> Reservation | Refusal:
        run = shared.new_run()
        decision = await shared.reserve(shares, costs, run)
        if not decision.allowed:
            return Refusal(decision.standings)
        shared.began(shares, run)
        starts = self._local.take(shares, costs)
        return Reservation(shares, costs, decision.standings, (self._local, starts), (shared, decision.starts, run))

    async def _reserve_here(self, shares: Sequence[Share], costs: Sequence[int]) -> Reservation | Refusal:
        decision = await self._local.reserve(shares, costs)
        if not decision.allowed:
            return Refusal(decision.standings)
        shared = self._shared
        if shared is None:
            return Reservation(shares, costs, decision.standings, (self._local, decision.starts), None)
        run = shared.new_run()
        shared.began(shares, run)
        shared.owe(shares, costs)
        return Reservation(shares, costs, decision.standings, (self._local, decision.starts), (shared, None, run))

    def _shares_of(self, attributes: Attributes) -> tuple[Share, ...]:
        return shares_of(self._policies, attributes)


def _cost(policy: QuotaPolicy, tokens: int, at_least: int) -> int:
    if policy.counts != "tokens":
        return 1
    return at_least if at_least > policy.amount else max(1, min(tokens, policy.amount))
