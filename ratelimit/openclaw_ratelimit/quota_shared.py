"""Quotas that several instances count together: the calls of `quota.lua`, and what waits for the storage's return.

The storage decides over all policies that apply in one step. An instance also counts locally what it admits, so that it
can continue alone from there. When the storage is back, the instance merges what it decided alone. A
run holds leases: its instance renews them while the run lives, so they expire when the instance dies.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from openclaw_ratelimit.errors import CallRejected, StorageUnavailable
from openclaw_ratelimit.events import log
from openclaw_ratelimit.limit_status import QuotaUsage, of_runs, of_window, usage_of
from openclaw_ratelimit.peer import Argument, Ask, ignore_outcome
from openclaw_ratelimit.quota_local import Decision
from openclaw_ratelimit.quota_pending import Pending
from openclaw_ratelimit.quota_policy import Share
from openclaw_ratelimit.run_leases import RunLeases, pages
from openclaw_ratelimit.script import Script

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

QUOTAS = Script.beside(__package__, "quota.lua")

_PER_KEY = 5  # numbers in a reply


class SharedQuota:
    """Decides over a link (a `Peer`). The leases of a run expire `lease` seconds after its instance has died.

    `abandoned` is called at each heartbeat, before leases are renewed, to end runs that nobody will settle; `was_reset`
    with the key (`Share.key`) of a window that an operator has reset at any instance.
    """

    def __init__(
        self,
        link: "ReplicationLink",
        *,
        kind: str,
        lease: int,
        capacity: int,
        abandoned: Callable[[], object],
        was_reset: Callable[[str], object],
    ) -> None:
        self.link = link
        self._clock = link.clock.local
        self._lease = lease
        self._capacity = capacity
        self._abandoned = abandoned
        self._was_reset = was_reset
        self._kind = kind
        self._base = link.key(f"{kind}:")
        self._common = (link.key("clock"), link.key(f"{kind}-index"))
        self._reset_prefix = f"{kind} reset {self._base}".encode()
        self._ids = f"{secrets.token_hex(8)}:"
        self._count = 0
        self._runs = RunLeases(self._clock, lease)
        self._pending = Pending(self._clock)
        link.add(self, kind=kind)

    def new_run(self) -> str:
        """An id that no other run has."""
        self._count += 1
        return f"{self._ids}{self._count}"

    def reserve(self, shares: Sequence[Share], costs: Sequence[int], run: str) -> "asyncio.Future[Any]":
        """Take `costs` of all shares, or nothing of any; the reply is for `decision`. Raises StorageUnavailable."""
        arguments: list[Argument] = ["reserve", self.link.server_time(), self._capacity, self._lease, run]
        for share, cost in zip(shares, costs, strict=True):
            arguments += (share.policy.amount, _width(share), cost)
        return self._call([self._key(share) for share in shares], arguments)

    async def usage(self, shares: Sequence[Share], reserved: Callable[[Share], int]) -> tuple[QuotaUsage, ...]:
        """What has been used of each window at all instances. Raises StorageUnavailable."""
        arguments: list[Argument] = ["look", self.link.server_time(), *(share.policy.window for share in shares)]
        reply = await asyncio.shield(self._call([self._key(share) for share in shares], arguments))
        return tuple(
            usage_of(share.policy, int(previous), int(current), float(left), reserved(share))
            for share, previous, current, left in zip(shares, reply[::3], reply[1::3], reply[2::3], strict=True)
        )

    def undo(self, shares: Sequence[Share], costs: Sequence[int], run: str, answer: "asyncio.Future[Any]") -> None:
        """The caller has left before the answer came: give back what the answer says was taken."""
        if answer.cancelled() or answer.exception() is not None:
            return
        decision = _decision(shares, costs, answer.result())
        if decision.allowed:
            self.settle(decision.shares, [-cost for cost in costs], decision.starts, run)

    @staticmethod
    def decision(shares: Sequence[Share], costs: Sequence[int], reply: Any) -> Decision:
        """What the storage has decided."""
        return _decision(shares, costs, reply)

    def began(self, shares: Sequence[Share], run: str) -> None:
        """The run goes on from here, whether the storage or this instance has allowed it."""
        self._runs.add(run, [self._key(share) for share in shares if share.policy.counts == "runs"])

    def settle(
        self, shares: Sequence[Share], corrections: Sequence[int], starts: Sequence[float] | None, run: str
    ) -> "asyncio.Future[Any] | None":
        """The run is over; `corrections` are to be counted now or (negative) taken back from the windows that began at
        `starts`, None when this instance admitted it alone. The call is sent when this returns; the future ends when
        the storage has counted it. Returns None if there is nothing to wait for.
        """
        self._runs.end(run)
        keys: list[str] = []
        arguments: list[Argument] = ["settle", self.link.server_time()]
        for index, (share, count) in enumerate(zip(shares, corrections, strict=True)):
            if share.policy.counts == "runs":
                keys.append(self._key(share))
                arguments += (0, run, 0)
            elif count > 0 or (count and starts):
                keys.append(self._key(share))
                arguments += (share.policy.window, repr(starts[index]) if starts else "0", count)
        if not keys and not (starts is None and any(corrections)):
            return None
        left = [max(0, count) for count in corrections] if starts else corrections
        try:
            answer = self._call(keys, arguments)
        except StorageUnavailable:
            self._defer_end(shares, left, run)
            return None

        def ended(answer: "asyncio.Future[Any]") -> None:
            if answer.exception() is not None:
                self._defer_end(shares, left, run)

        answer.add_done_callback(ended)
        return answer

    def end(self, shares: Iterable[Share], run: str) -> None:
        """Free the leases of a run."""
        self._runs.end(run)
        ended = [(self._key(share), run) for share in shares if share.policy.counts == "runs"]
        if not ended:
            return
        if self.link.available:
            words: list[Argument] = ["settle", self.link.server_time()]
            for _ in ended:
                words += (0, run, 0)
            with suppress(StorageUnavailable):
                self._call([key for key, _ in ended], words).add_done_callback(ignore_outcome)
        else:
            self._pending.end(ended)

    def defer(self, shares: Sequence[Share], counts: Sequence[int]) -> None:
        """Counted, or taken back, here alone. Runs are merged by their ids."""
        self._pending.count(shares, counts)

    async def reset(self, shares: Sequence[Share]) -> None:
        """Forget what was counted in these windows; at once, or when the storage is back."""
        keys = [self._key(share) for share in shares if share.policy.counts != "runs"]
        for share in shares:
            self._pending.forget(share)
        if not keys:
            return
        try:
            if self.link.usable():
                await asyncio.shield(self._call(keys, self._reset_arguments()))
                return
        except StorageUnavailable:
            pass  # deferred below
        self._pending.reset(keys)

    # What follows is `Peer`.

    @property
    def behind(self) -> bool:
        """See Peer."""
        return bool(self._pending)

    async def join(self, ask: Ask) -> None:
        """See Peer: the storage may have lost our runs; and it learns the script before anybody waits for it."""
        await self._merge(ask, (), ("renew", self.link.server_time(), self._lease))
        await self._renew(ask)

    async def catch_up(self, ask: Ask) -> None:
        """See Peer: what was decided here counts from now on."""
        pending, self._pending = self._pending, Pending(self._clock)
        counted = [(share, count) for share, count in await pending.counted() if count > 0]
        words: list[tuple[str, int, str, int]] = [(key, 0, run, 0) for key, run in pending.ended]
        words += [(self._key(share), share.policy.window, "0", count) for share, count in counted]
        sent = 0
        try:
            for keys in pages(list(pending.resets)):
                await self._merge(ask, keys, self._reset_arguments())
            pending.resets.clear()
            for page in pages(words):
                await self._merge_counts(ask, page)
                sent += len(page)
        except BaseException:
            # A count that was sent would be counted twice, and a second reset would forget it; a run can end twice.
            self._pending.put_back(pending, counted[max(0, sent - len(pending.ended)) :])
            raise

    async def hear(self, message: bytes) -> None:
        """See Peer: a window was reset."""
        if message.startswith(self._reset_prefix):
            self._was_reset(message[len(self._reset_prefix) :].decode("utf-8", "replace"))

    async def beat(self, ask: Ask) -> None:
        """See Peer."""
        self._abandoned()
        if self._runs.due:
            await self._renew(ask)

    async def _merge_counts(self, ask: Ask, page: Sequence[tuple[str, int, str, int]]) -> None:
        arguments: list[Argument] = ["settle", self.link.server_time()]
        for _, width, name, count in page:
            arguments += (width, name, count)
        try:
            await self._merge(ask, [key for key, *_ in page], arguments)
        except CallRejected as error:
            if len(page) > 1:
                for one in page:
                    await self._merge_counts(ask, [one])
            else:
                log.warning("%s: %s can't be counted in: %s", self.link.name, page[0][0], error)

    async def _merge(self, ask: Ask, keys: Sequence[str], arguments: Sequence[Argument]) -> None:
        await ask(QUOTAS, [*self._common, *keys], arguments)

    async def _renew(self, ask: Ask) -> None:
        for page in self._runs.renewals():
            words: list[Argument] = ["renew", self.link.server_time(), self._lease, *(run for _, run in page)]
            with suppress(CallRejected):
                await self._merge(ask, [key for key, _ in page], words)

    def _defer_end(self, shares: Sequence[Share], counts: Sequence[int], run: str) -> None:
        self.end(shares, run)
        self.defer(shares, counts)

    def _call(self, keys: Sequence[str], arguments: Sequence[Argument]) -> "asyncio.Future[Any]":
        return self.link.call(QUOTAS, [*self._common, *keys], arguments)

    def _reset_arguments(self) -> tuple[Argument, ...]:
        return ("reset", self.link.server_time(), self.link.channel, self._kind)

    def _key(self, share: Share) -> str:
        return self._base + share.key


def _width(share: Share) -> int:
    return 0 if share.policy.counts == "runs" else share.policy.window


def _decision(shares: Sequence[Share], costs: Sequence[int], reply: list[bytes | int]) -> Decision:
    allowed, *numbers = reply
    statuses, starts, counted = [], [], []
    for index, (share, cost) in enumerate(zip(shares, costs, strict=True)):
        previous, current, start, left, overflow = numbers[_PER_KEY * index : _PER_KEY * (index + 1)]
        missing = 0 if allowed else cost
        starts.append(float(start))
        counted.append(share.overflow() if overflow else share)
        if share.policy.counts == "runs":
            statuses.append(of_runs(share.policy, int(current), missing))
        else:
            statuses.append(of_window(share.policy, int(previous), int(current), float(left), missing))
    return Decision(bool(allowed), tuple(statuses), tuple(starts), tuple(counted))
