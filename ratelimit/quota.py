"""Quotas: requests and tokens in a sliding window, runs at the same time. Reserved before a run, settled after it.

Which policies there are is the business of `quota_policy`, counting that of `quota_local`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ratelimit.quota_local import Decision, LocalQuota
from ratelimit.quota_policy import Attributes, QuotaPolicy, Share, shares_of
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

    __slots__ = ("_costs", "_decision", "_local", "_settled", "_shares")

    def __init__(
        self, local: LocalQuota, shares: Sequence[Share], costs: Sequence[int], decision: Decision | None
    ) -> None:
        self._local = local
        self._shares = shares
        self._costs = costs
        self._decision = decision
        self._settled = False

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the policies that apply stand since."""
        return self._decision.standings if self._decision else ()

    async def settle(self, tokens: int) -> None:
        """The run is over and took so many tokens in truth: count the difference and free its place. Once; a second
        call changes nothing.

        Fewer tokens than reserved are taken back from where they were counted, more are counted now.
        """
        if self._settled or self._decision is None:
            return
        self._settled = True
        for share, cost, start in zip(self._shares, self._costs, self._decision.starts, strict=True):
            if share.policy.counts == "runs":
                self._local.release(share)
            elif share.policy.counts == "tokens" and tokens != cost:
                self._local.correct(share, start, tokens - cost)


class Quota:
    """Decides over `policies` for askers that are known by their attributes.

    All policies that apply must have room, or nothing is taken; however many ask at once, none lets more through than
    its amount. `clock` is in seconds. At most `capacity` windows are kept, the one that was counted in longest ago
    making room.
    """

    def __init__(
        self,
        policies: Sequence[QuotaPolicy],
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 10_000,
    ) -> None:
        self._policies = tuple(policies)
        self._local = LocalQuota(clock, capacity)
        self._cached = lru_cache(_CACHED_ASKERS)(self._shares_of)

    async def reserve(self, attributes: Attributes, tokens: int, at_least: int = 0) -> Reservation | Refusal:
        """Take a request, `tokens` tokens and a run for this asker.

        An estimate that is more than a whole quota takes all of it. Never granted is what takes more than that for
        certain, which is `at_least` tokens.
        """
        cacheable = sum(len(value) for _, value in attributes) <= _LONGEST_CACHED
        shares = (self._cached if cacheable else self._shares_of)(attributes)
        if not shares:
            return Reservation(self._local, shares, (), None)
        costs = tuple(_cost(share.policy, tokens, at_least) for share in shares)
        decision = await self._local.reserve(shares, costs)
        if not decision.allowed:
            return Refusal(decision.standings)
        return Reservation(self._local, shares, costs, decision)

    def _shares_of(self, attributes: Attributes) -> tuple[Share, ...]:
        return shares_of(self._policies, attributes)


def _cost(policy: QuotaPolicy, tokens: int, at_least: int) -> int:
    if policy.counts != "tokens":
        return 1
    return at_least if at_least > policy.amount else max(1, min(tokens, policy.amount))
