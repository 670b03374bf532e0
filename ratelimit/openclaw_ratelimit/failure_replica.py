"""Failures that several instances count together: the calls of `failures.lua`, and a replica of its data here.

The storage decides one call after the other, so every decision is exact over all instances. It publishes each one, so
that every instance knows all locks without asking and can continue alone from the same data while the storage is away.
Then both sides exchange what they know: failures have ids and are merged, and of two times the later one holds. So any
loss heals: a flush, an empty replica after a failover, decisions made by one instance alone.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from openclaw_ratelimit.budget import FailureBudget
from openclaw_ratelimit.errors import StorageUnavailable
from openclaw_ratelimit.peer import Argument, Ask
from openclaw_ratelimit.policy import LockoutPolicy
from openclaw_ratelimit.records import Entry, Failure, Records
from openclaw_ratelimit.run_leases import pages
from openclaw_ratelimit.script import Script
from openclaw_ratelimit.verdict import Verdict

if TYPE_CHECKING:
    from openclaw_ratelimit.link import ReplicationLink

FAILURES = Script.beside(__package__, "failures.lua")

_LOST = "messages of other instances were lost"
_PARTS = (
    "failures", "recent", "locks", "budget", "known", "granted", "reserve", "meta", "released", "cleared",
    "waiting", "asked",
)  # fmt: skip
_PAGE = 500  # entries per call when everything is exchanged


class FailureReplica:
    """One kind of failure, counted over a link (a `Peer`). `records` must read the link's clock."""

    def __init__(
        self,
        link: "ReplicationLink",
        policy: LockoutPolicy,
        records: Records,
        budget: FailureBudget | None,
        *,
        kind: str,
        capacity: int,
    ) -> None:
        self.link = link
        self._records = records
        self._keys = (*(link.key(f"{kind}:{part}") for part in _PARTS), link.key("clock"))
        self._kind = kind
        self._prefix = f"{kind} ".encode()
        self._clears: dict[str, float] = {}  # heard since the storage was last read: its pages may be older
        self._id = ""  # of the storage's data
        self._heard = 0  # number of the last message
        self._published = 0  # number of the last message at the last heartbeat; it must arrive before the next
        self._capacity = capacity
        self._rules: tuple[Argument, ...] = ()
        self.adjust(policy, budget)
        link.clock.follow(records.shift)
        link.add(self, kind=kind)

    def adjust(self, policy: LockoutPolicy, budget: FailureBudget | None) -> None:
        """Decide by these numbers from the next call on."""
        self._budget = budget
        rules = budget.policy if budget is not None else None
        self._rules = (
            policy.max_attempts,
            _ms(policy.window),
            _ms(policy.lockout),
            self._capacity,
            rules.failures if rules else 0,
            _ms(rules.window) if rules else 0,
            _ms(rules.interval) if rules else 0,
            _ms(rules.memory) if rules else 0,
        )

    def fail(self, key: str, id: str) -> "asyncio.Future[Any]":  # noqa: A002  the field's name
        """Count one failure of `key`; the reply is for `failed`. Raises StorageUnavailable."""
        return self._call("fail", key, id)

    def failed(self, key: str, id: str, reply: Any) -> Verdict:  # noqa: A002  the field's name
        """Apply the storage's decision about a failure."""
        allowed, remaining, wait, stamp = reply
        if stamp and (not allowed or remaining == 0):
            self._records.lock(key, stamp / 1000)
        elif allowed:
            self._apply("fail", stamp / 1000, id, key)
        return Verdict(bool(allowed), remaining, wait / 1000)

    def succeed(self, key: str, id: str) -> "asyncio.Future[Any]":  # noqa: A002  the field's name
        """Ask whether the client may learn of a success, and clear the failures if so; the reply is for `succeeded`.
        Raises StorageUnavailable.
        """
        return self._call("succeed", key, id)

    def succeeded(self, key: str, reply: Any) -> Verdict:
        """Apply the storage's decision about a success."""
        allowed, remaining, wait, stamp = reply
        if allowed:
            self._records.clear(key, stamp / 1000)
        elif stamp:
            self._records.lock(key, stamp / 1000)
        return Verdict(bool(allowed), remaining, wait / 1000)

    def release(self, key: str) -> "asyncio.Future[Any]":
        """An operator unlocks `key`; the reply is for `released`. Raises StorageUnavailable."""
        return self._call("release", key)

    def released(self, key: str, reply: Any) -> bool:
        """Apply a release. Returns whether the key was locked or had failures."""
        stood, until, time = reply
        self._records.apply_release(key, until / 1000, time / 1000)
        return bool(stood)

    def remember(self, key: str) -> None:
        """Publish that `key` had a success, without waiting."""
        self.link.post(FAILURES, self._keys, self._arguments("remember", key, 0))

    # What follows is `Peer`.

    @property
    def behind(self) -> bool:
        """See `Peer`."""
        return self._records.has_unsynced

    async def join(self, ask: Ask) -> None:
        """Send all local records, then load what else the storage has."""
        self._heard = 0
        await self._read_meta(ask)
        unsynced = self._records.pop_unsynced()
        entries = {entry.key: entry for entry in self._records.entries()}
        await self._merge_all(
            ask, [*entries.values(), *(_nothing_of(key) for key in unsynced if key not in entries)], unsynced
        )
        if self._budget is not None:
            await _together([partial(self._ask, ask, "remember", key, _ms(age)) for key, age in self._budget.known()])
        self._clears = {}
        await self._learn(ask)
        for key, time in self._clears.items():
            self._records.clear(key, time)
        self._clears = {}
        self._heard = max(self._heard, self._published)

    async def catch_up(self, ask: Ask) -> None:
        """See `Peer`."""
        unsynced = self._records.pop_unsynced()
        await self._merge_all(ask, list(self._records.entries(unsynced)), unsynced)

    async def hear(self, message: bytes) -> None:
        """See `Peer`. Messages of this instance come, too; applying them twice changes nothing."""
        if not message.startswith(self._prefix):
            return
        try:
            count, what, stamp, id_, key = message[len(self._prefix) :].decode().split(" ", 4)
            number, time = int(count), int(stamp) / 1000
        except ValueError:  # another program publishes on this channel
            return
        if number > self._heard + 1 and self._heard:
            raise StorageUnavailable(_LOST)
        self._heard = max(self._heard, number)
        self._apply(what, time, id_, key)

    async def beat(self, ask: Ask) -> None:
        """See `Peer`."""
        published, id_ = self._published, self._id
        await self._read_meta(ask)
        if self._id != id_:
            raise StorageUnavailable("its data were lost")
        if self._heard < published:
            raise StorageUnavailable(_LOST)

    def _apply(self, what: str, stamp: float, id_: str, key: str) -> None:
        match what:
            case "fail":
                if self._records.add(key, Failure(stamp, id_)) and self._budget is not None:
                    self._budget.count()
            case "lock":
                self._records.lock(key, stamp)
            case "clear":
                self._records.clear(key, stamp)
                if not self.link.available:
                    self._clears[key] = stamp
            case "release":
                self._records.apply_release(key, stamp, int(id_) / 1000 if id_.isdecimal() else 0.0)
            case "success" if self._budget is not None:
                self._budget.know(key, max(0.0, self.link.clock() - stamp))
            case "spent" if self._budget is not None:
                self._budget.close(stamp - self.link.clock())
            case _:
                pass  # of a newer version

    async def _read_meta(self, ask: Ask) -> None:
        # Data without an id get this one. It is new each time, or a loss would go unnoticed.
        id_, self._published = await self._ask(ask, "beat", "-", secrets.token_hex(8))
        self._id = _text(id_)

    async def _merge_all(self, ask: Ask, entries: list[Entry], unsynced: dict[str, float]) -> None:
        try:
            await _together([partial(self._merge, ask, entry, unsynced.get(entry.key, 0.0)) for entry in entries])
        except BaseException:
            self._records.put_back_unsynced(unsynced)
            raise

    async def _merge(self, ask: Ask, entry: Entry, cleared: float) -> None:
        key = entry.key
        failures = (word for failure in entry.failures for word in (_ms(failure.time), failure.id))
        times = (_ms(entry.locked), _ms(cleared), _ms(entry.released))
        cleared_until, released = await self._ask(ask, "merge", key, *times, *failures)
        if released:
            self._records.apply_release(key, released / 1000, 0.0)
        if cleared_until / 1000 > self.link.clock():
            self._records.lock(key, cleared_until / 1000)
        else:
            self._records.clear(key, cleared_until / 1000)

    async def _learn(self, ask: Ask) -> None:
        cursor = "failures:0"
        while cursor != "end":
            reached, entries = await self._ask(ask, "learn", "-", cursor, _PAGE)
            for what, stamp, id_, key in entries:
                self._apply(_text(what), int(float(stamp)) / 1000, _text(id_), _text(key))
            cursor = _text(reached)

    async def _ask(self, ask: Ask, call: str, key: str, *more: Argument) -> Any:
        return await ask(FAILURES, self._keys, self._arguments(call, key, *more))

    def _call(self, call: str, key: str, *more: Argument) -> "asyncio.Future[Any]":
        return self.link.call(FAILURES, self._keys, self._arguments(call, key, *more))

    def _arguments(self, call: str, key: str, *more: Argument) -> tuple[Argument, ...]:
        return (call, self.link.channel, self._kind, key, *self._rules, self.link.server_time(), *more)


async def _together(calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
    """Make the calls, many in one round trip. Raises what the first failed one raises."""
    for page in pages(calls):
        try:
            async with asyncio.TaskGroup() as group:
                for call in page:
                    group.create_task(call())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


def _nothing_of(key: str) -> Entry:
    return Entry(key, 0.0, 0.0, ())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(word: bytes | str | int) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
