"""Quotas that several instances count together: the calls of `quota.lua`, and what an instance owes while it is away.

Every decision is one step of the storage, over all policies that apply. An instance counts beside it what it lets
through, so that it can go on by itself from there. What it then decides alone is told when the storage is back. A run's
place is a lease: it is renewed while the run lives, and ends by itself when its instance does.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from ratelimit.errors import StorageUnavailable
from ratelimit.link import Ask, Link
from ratelimit.memory import ProcessStorage
from ratelimit.pipeline import Argument, Script
from ratelimit.quota_local import Decision
from ratelimit.quota_policy import Share
from ratelimit.quota_standing import of_runs, of_window

QUOTAS = Script(files("ratelimit").joinpath("quota.lua").read_text(encoding="utf-8"))

_PAGE = 200  # keys per call when much is told at once
_MOST = 10_000  # keys, and runs, that an instance owes at most; others fade, and leases end, by themselves


@dataclass(slots=True)
class _Debts:
    """What the storage has not been told: counts by window, and runs that have ended (key, name)."""

    counts: ProcessStorage
    shares: dict[str, Share] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)


class SharedQuota:
    """Decides over a link (`ratelimit.link.Peer`).

    `clock` is the local one, in seconds; a run's place is free again `lease` seconds after its instance has died.
    `server_time` (seconds) replaces the server's own time in tests.
    """

    def __init__(
        self,
        link: Link,
        *,
        clock: Callable[[], float] = time.monotonic,
        lease: int = 30,
        server_time: Callable[[], float] | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._lease = lease
        self._server_time = server_time
        self._names = f"{secrets.token_hex(8)}:"
        self._count = 0
        self._running: dict[str, tuple[str, ...]] = {}  # run → keys of its places
        self._renewed = clock()
        self._debts = self._no_debts()
        link.add(self)

    @property
    def available(self) -> bool:
        """Whether the storage decides at present."""
        return self._link.available

    def new_run(self) -> str:
        """A name for a run, of which there is no other."""
        self._count += 1
        return f"{self._names}{self._count}"

    async def reserve(self, shares: Sequence[Share], costs: Sequence[int], run: str) -> Decision:
        """Take `costs` of all shares, or nothing of any. Raises StorageUnavailable."""
        arguments: list[Argument] = ["reserve", self._now(), self._lease, run]
        for share, cost in zip(shares, costs, strict=True):
            arguments += (share.policy.amount, _width(share), cost)
        keys = self._keys(shares)
        try:
            reply = await self._link.ask(QUOTAS, keys, arguments)
        except BaseException:
            self._end(shares, run)  # it may have been granted all the same, and nobody would free the place
            raise
        return _decision(shares, costs, reply)

    def began(self, shares: Sequence[Share], run: str) -> None:
        """The run lives from here on, whoever has allowed it."""
        keys = tuple(self._key(share) for share in shares if share.policy.counts == "runs")
        if keys:
            self._running[run] = keys

    async def settle(
        self, shares: Sequence[Share], corrections: Sequence[int], starts: Sequence[float] | None, run: str
    ) -> None:
        """The run is over; `corrections` are tokens to count now or (negative) to take back from the windows that began
        at `starts`, None when it was let through here alone. Returns when the storage knows, or is known to be away.
        """
        self._running.pop(run, None)
        keys: list[str] = []
        arguments: list[Argument] = ["settle", self._now()]
        for place, (share, tokens) in enumerate(zip(shares, corrections, strict=True)):
            if share.policy.counts == "runs":
                keys.append(self._key(share))
                arguments += (0, run, 0)
            elif tokens > 0 or (tokens and starts):
                keys.append(self._key(share))
                arguments += (share.policy.window, repr(starts[place]) if starts else "0", tokens)
        if not keys and not (starts is None and any(corrections)):
            return
        try:
            await self._link.ask(QUOTAS, keys, arguments)
        except StorageUnavailable:
            self._end(shares, run)
            self.owe(shares, [max(0, tokens) for tokens in corrections] if starts else corrections)

    def owe(self, shares: Sequence[Share], counts: Sequence[int]) -> None:
        """Counted, or taken back, here alone. Runs are told by their names."""
        debts = self._debts
        for share, count in zip(shares, counts, strict=True):
            if share.policy.counts != "runs" and count and (share.key in debts.shares or len(debts.shares) < _MOST):
                debts.counts.count(share.key, share.policy.window, count)
                debts.shares[share.key] = share

    @property
    def behind(self) -> bool:
        """See Peer."""
        return bool(self._debts.shares or self._debts.ended)

    async def join(self, ask: Ask) -> None:
        """See Peer: the storage may have lost our runs."""
        await self._renew(ask)

    async def catch_up(self, ask: Ask) -> None:
        """See Peer: what was decided here counts from now on."""
        debts, self._debts = self._debts, self._no_debts()
        told: list[tuple[str, int, str, int]] = [(key, 0, run, 0) for key, run in debts.ended]
        counts = [(share, await _counted(debts.counts, share)) for share in debts.shares.values()]
        told += [(self._key(share), share.policy.window, "0", count) for share, count in counts if count > 0]
        try:
            for page in range(0, len(told), _PAGE):
                some = told[page : page + _PAGE]
                arguments: list[Argument] = ["settle", self._now()]
                for _, width, name, count in some:
                    arguments += (width, name, count)
                await ask(QUOTAS, [key for key, *_ in some], arguments)
        except StorageUnavailable:
            self.owe([share for share, _ in counts], [count for _, count in counts])
            self._debts.ended = (debts.ended + self._debts.ended)[:_MOST]
            raise

    async def hear(self, message: bytes) -> None:
        """See Peer: nothing is told between instances."""

    async def beat(self, ask: Ask) -> None:
        """See Peer."""
        if self._clock() - self._renewed >= self._lease / 3:
            await self._renew(ask)

    async def _renew(self, ask: Ask) -> None:
        self._renewed = self._clock()
        places = [(key, run) for run, keys in self._running.items() for key in keys]
        for page in range(0, len(places), _PAGE):
            # One that ends while this is under way must not be brought back: its end is told after this.
            some = [(key, run) for key, run in places[page : page + _PAGE] if run in self._running]
            if some:
                await ask(
                    QUOTAS, [key for key, _ in some], ["renew", self._now(), self._lease, *(run for _, run in some)]
                )

    def _end(self, shares: Sequence[Share], run: str) -> None:
        ended = [(self._key(share), run) for share in shares if share.policy.counts == "runs"]
        if not ended:
            return
        if self._link.available:
            words: list[Argument] = ["settle", self._now()]
            for _ in ended:
                words += (0, run, 0)
            self._link.post(QUOTAS, [key for key, _ in ended], words)
        elif len(self._debts.ended) < _MOST:
            self._debts.ended += ended

    def _no_debts(self) -> _Debts:
        return _Debts(ProcessStorage(self._clock))

    def _keys(self, shares: Sequence[Share]) -> list[str]:
        return [self._key(share) for share in shares]

    def _key(self, share: Share) -> str:
        return self._link.key(f"quota:{share.key}")

    def _now(self) -> str:
        return "" if self._server_time is None else repr(self._server_time())


def _width(share: Share) -> int:
    return 0 if share.policy.counts == "runs" else share.policy.window


async def _counted(storage: ProcessStorage, share: Share) -> int:
    previous, left, current, _ = await storage.get_sliding_window(share.key, share.policy.window)
    return int(previous * left / share.policy.window + current)


def _decision(shares: Sequence[Share], costs: Sequence[int], reply: list[bytes | int]) -> Decision:
    allowed, *found = reply
    standings = []
    starts = []
    for place, (share, cost) in enumerate(zip(shares, costs, strict=True)):
        previous, current, start, left = found[4 * place : 4 * place + 4]
        missing = 0 if allowed else cost
        starts.append(float(start))
        if share.policy.counts == "runs":
            standings.append(of_runs(share.policy, int(current), missing))
        else:
            standings.append(of_window(share.policy, int(previous), int(current), float(left), missing))
    return Decision(bool(allowed), tuple(standings), tuple(starts))
