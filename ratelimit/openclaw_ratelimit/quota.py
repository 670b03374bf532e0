"""Quotas: requests and tokens in a sliding window, runs at the same time. Reserved before the work, settled after it.

`quota_policy` selects the policies that apply; `quota_local` and `quota_shared` count.
"""

import asyncio
import itertools
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from functools import lru_cache, partial
from itertools import takewhile
from typing import TYPE_CHECKING

from openclaw_ratelimit.checks import (
    require_clock,
    require_count,
    require_kind,
    require_link,
    require_listener,
    require_seconds,
    require_whole_seconds,
)
from openclaw_ratelimit.errors import ConfigurationError, StorageUnavailable
from openclaw_ratelimit.events import Event, EventKind, Listener, emit, log, log_event
from openclaw_ratelimit.limit_status import QuotaUsage
from openclaw_ratelimit.memory import WindowRecord
from openclaw_ratelimit.quota_local import LocalQuota
from openclaw_ratelimit.quota_policy import Attributes, QuotaPolicy, Share, check_policies, pairs_of, shares_of
from openclaw_ratelimit.quota_shared import SharedQuota
from openclaw_ratelimit.refusal import Refusal
from openclaw_ratelimit.reservation import Counted, Reservation, Reserving, whole_tokens

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

_MAX_CACHED_CALLERS = 10_000
_MAX_CACHED = 512  # characters of a caller's attributes


class Quota:
    """Applies `policies` to callers, who are identified by attributes.

    All policies that apply must have room, or nothing is taken; however many ask at once, none admits more than its
    amount. A run that is not settled within `max_run` seconds, or whose reservation is garbage, ends.

    The process and the storage hold at most `capacity` windows. When all of them count, further callers share one
    window per policy. `on_event` receives REFUSED. `clock` is seconds, for a quota without a link.

    With a `link` (not opened yet) all instances count together, or alone while the storage is away. The lease
    of a run expires `lease` whole seconds after its instance has died. Quotas of one link have different `kind`s.
    Raises ConfigurationError.
    """

    def __init__(
        self,
        policies: Sequence[QuotaPolicy],
        *,
        link: "ReplicationLink | None" = None,
        kind: str = "quota",
        lease: int = 30,
        max_run: float = 3_600.0,
        on_event: Listener = log_event,
        clock: Callable[[], float] | None = None,
        capacity: int = 10_000,
    ) -> None:
        self._set_policies(policies)
        require_whole_seconds("lease", lease)
        require_count("capacity", capacity)
        require_seconds("max_run", max_run)
        require_kind(kind)
        require_link(link)
        require_listener(on_event)
        require_clock(clock)
        if link is not None and clock is not None:
            raise ConfigurationError("clock: give it to the link, which all its quotas share")
        self._max_run = max_run
        self._on_event = on_event
        self._clock = link.clock.local if link is not None else clock or time.monotonic
        self._local = LocalQuota(self._clock, capacity)
        self._shared: SharedQuota | None = None
        if link is not None:
            self._shared = SharedQuota(
                link,
                kind=kind,
                lease=lease,
                capacity=capacity,
                abandoned=self._end_abandoned,
                was_reset=self._local.reset,
            )
        self._run_numbers = itertools.count(1)
        # Run → its start, the shares it holds, and its reservation while that is referenced. In the order of starts.
        self._held: dict[str, tuple[float, Sequence[Share], weakref.ref[Reservation]]] = {}
        self._dropped: deque[str] = deque()  # runs whose reservation is garbage; any thread may collect it

    def with_policies(self, policies: Sequence[QuotaPolicy]) -> "Quota":
        """The same quota under other policies, such as those of a changed configuration; also after the link was
        opened.

        Both count in the same windows, so what callers have used up under a policy of the same name and window stays
        used up, and runs stay counted. Raises ConfigurationError.
        """
        changed = copy(self)
        changed._set_policies(policies)  # noqa: SLF001  of the same class
        return changed

    def _set_policies(self, policies: Sequence[QuotaPolicy]) -> None:
        self._policies = check_policies(policies)
        self._cached = lru_cache(_MAX_CACHED_CALLERS)(partial(_shares_under, self._policies))

    @property
    def policies(self) -> tuple[QuotaPolicy, ...]:
        """The policies that apply to all callers."""
        return self._policies

    def reserve(
        self,
        attributes: Attributes,
        tokens: int = 0,
        at_least: int = 0,
        *,
        own: tuple[QuotaPolicy, ...] = (),
        worst: int | None = None,
        cost: int = 0,
    ) -> Reserving:
        """Take a request, `tokens` tokens, a run and `cost` for this caller: `await` it, or `async with` it (see
        `Reserving`).

        `own` are further policies of this caller, with names of their own. An estimate that is more than a whole quota
        takes all of it. A request that certainly needs more (`at_least` tokens) is never granted. Strict policies
        reserve `worst` tokens, as many as the work can take (None: `tokens`), and never grant more than the whole
        quota. Raises UsageError for wrong types and a missing attribute.
        """
        estimate = whole_tokens("tokens", tokens)
        estimates = (
            estimate,
            whole_tokens("at_least", at_least),
            estimate if worst is None else whole_tokens("worst", worst),
            whole_tokens("cost", cost),
        )
        return Reserving(self._reserve(attributes, estimates, own))

    def take_changes(self, wanted: Callable[[str], bool]) -> list[WindowRecord]:
        """The windows in this process that have changed since the last call, of policies whose name is `wanted`.

        With them a process that counts alone can go on where it ended: see `restore`.
        """
        return self._local.take_changes(wanted)

    def restore(self, windows: Iterable[WindowRecord], passed: float) -> None:
        """Count on from windows that an earlier process has taken `passed` seconds ago."""
        for window in windows:
            self._local.restore(window, passed)

    async def usage(self, attributes: Attributes, own: tuple[QuotaPolicy, ...] = ()) -> tuple[QuotaUsage, ...]:
        """What this caller has used under each policy with a window; nothing is taken. At all instances, or while the
        storage is away as far as this one knows. Raises UsageError for a missing attribute.
        """
        shares = _shares_under(self._policies, pairs_of(attributes), own)
        shares = tuple(share for share in shares if share.policy.counts != "runs")
        if self._shared is not None and shares and self._shared.link.usable():
            with suppress(StorageUnavailable):
                return await self._shared.usage(shares, self._local.reserved)
        return await self._local.usage(shares)

    async def reset(self, attributes: Attributes, own: tuple[QuotaPolicy, ...] = ()) -> None:
        """For operators: forget what this caller's requests and tokens have used up; active runs stay counted.

        Takes effect here at once, at the other instances within a moment, or when the storage is back.
        """
        shares = _shares_under(self._policies, pairs_of(attributes), own)
        for share in shares:
            self._local.reset(share.key)
        if self._shared is not None:
            await self._shared.reset(shares)

    async def _reserve(
        self, attributes: Attributes, estimates: tuple[int, int, int, int], own: tuple[QuotaPolicy, ...]
    ) -> Reservation | Refusal:
        shares = self._shares(attributes, own)
        if not shares:
            return Reservation("", (), (self._local, Counted((), (), ())), None)
        costs = tuple(_cost(share.policy, *estimates) for share in shares)
        outcome: Reservation | Refusal | None = None
        if self._shared is not None and self._shared.link.usable():
            outcome = await self._reserve_there(self._shared, shares, costs)
        if outcome is None:
            outcome = await self._reserve_here(shares, costs)
        if isinstance(outcome, Refusal):
            for status in outcome.violated:
                emit(self._on_event, Event(EventKind.REFUSED, status.policy.name, seconds=status.wait or 0.0))
        return outcome

    async def _reserve_there(
        self, shared: SharedQuota, shares: Sequence[Share], costs: Sequence[int]
    ) -> Reservation | Refusal | None:
        """None when the storage is away."""
        run = shared.new_run()
        try:
            answer = shared.reserve(shares, costs, run)
        except StorageUnavailable:
            return None
        try:
            reply = await asyncio.shield(answer)
        except StorageUnavailable:
            shared.end(shares, run)  # the storage may have granted it, and the lease would stay
            return None
        except asyncio.CancelledError:
            shared.end(shares, run)  # runs at once; the rest when the reply says whether and where it was counted
            answer.add_done_callback(lambda answer: shared.undo(shares, costs, run, answer))
            raise
        decision = shared.decision(shares, costs, reply)
        if not decision.allowed:
            return Refusal(decision.statuses)
        shared.began(decision.shares, run)
        counted, starts = self._local.take(shares, costs, run)
        reservation = Reservation(
            run,
            decision.statuses,
            (self._local, Counted(counted, costs, starts)),
            (shared, Counted(decision.shares, costs, decision.starts)),
            self._held.pop,
        )
        self._hold(run, shares, reservation)
        return reservation

    async def _reserve_here(self, shares: Sequence[Share], costs: Sequence[int]) -> Reservation | Refusal:
        shared = self._shared
        run = self._new_run() if shared is None else shared.new_run()
        decision = await self._local.reserve(shares, costs, run)
        if not decision.allowed and self._end_abandoned():
            decision = await self._local.reserve(shares, costs, run)
        if not decision.allowed:
            return Refusal(decision.statuses)
        here = Counted(decision.shares, costs, decision.starts)
        reservation = Reservation(
            run,
            decision.statuses,
            (self._local, here),
            None if shared is None else (shared, Counted(shares, costs, None)),
            self._held.pop,
        )
        self._hold(run, shares, reservation)
        if shared is not None:
            shared.began(shares, run)
            shared.defer(shares, costs)
        return reservation

    def _hold(self, run: str, shares: Sequence[Share], reservation: Reservation) -> None:
        runs = [share for share in shares if share.policy.counts == "runs"]
        if runs:
            dropped = self._dropped
            self._held[run] = (self._clock(), runs, weakref.ref(reservation, lambda _: dropped.append(run)))

    def _end_abandoned(self) -> bool:
        """End the runs that will never be settled. Returns whether there were any."""
        # At each refusal, hence no look at all of them.
        oldest = self._clock() - self._max_run
        lost = list(takewhile(lambda run: self._held[run][0] <= oldest, self._held))
        while self._dropped:
            lost.append(self._dropped.popleft())
        for run in dict.fromkeys(lost):
            _, shares, _ = self._held.pop(run)
            log.warning("a run under %s was never settled; it no longer counts", shares[0].policy.name)
            for share in shares:
                self._local.end(share, run)
            if self._shared is not None:
                self._shared.end(shares, run)
        return bool(lost)

    def _new_run(self) -> str:
        return str(next(self._run_numbers))

    def _shares(self, attributes: Attributes, own: tuple[QuotaPolicy, ...]) -> tuple[Share, ...]:
        if attributes.__class__ is not tuple:
            attributes = pairs_of(attributes)
        try:
            is_short = sum(len(value) for _, value in attributes) <= _MAX_CACHED
            if is_short:
                return self._cached(attributes, own)
            return _shares_under(self._policies, attributes, own)
        except (TypeError, ValueError):
            return _shares_under(self._policies, pairs_of(attributes), own)  # raises what is wrong with them


def _shares_under(
    policies: tuple[QuotaPolicy, ...], attributes: tuple[tuple[str, str], ...], own: tuple[QuotaPolicy, ...]
) -> tuple[Share, ...]:
    return shares_of(check_policies((*policies, *own)) if own else policies, attributes)


def _cost(policy: QuotaPolicy, tokens: int, at_least: int, worst: int, money: int) -> int:
    if policy.counts == "cost":
        return max(1, money)
    if policy.counts != "tokens":
        return 1
    if policy.strict:
        return max(1, worst)
    return at_least if at_least > policy.amount else max(1, min(tokens, policy.amount))
