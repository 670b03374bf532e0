"""Failures that several instances count together: the calls of `failures.lua`, and a replica of its data here.

The storage decides, one call after the other, so every decision is exact over all instances. It tells each one to all,
so that every instance knows who is locked without asking, and can go on by itself from the same data when the storage
is away. On return both sides say what they know: failures have names and are united, of two times the later one holds,
so it does not matter who lost what (a flush, an empty replica after a failover, our own decisions meanwhile).
"""

import secrets
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from ratelimit.budget import FailureBudget
from ratelimit.errors import StorageUnavailable
from ratelimit.link import Ask, Link
from ratelimit.pipeline import Argument, Script
from ratelimit.policy import LockoutPolicy
from ratelimit.records import Failure, Records
from ratelimit.verdict import Verdict

FAILURES = Script(files("ratelimit").joinpath("failures.lua").read_text(encoding="utf-8"))

_LOST = "messages of other instances were lost"
_PARTS = ("failures", "recent", "voids", "budget", "known", "rations", "reserve", "meta")
_JUMP = 0.1  # seconds by which two readings of the server's clock may differ without its having been set
_PAGE = 500  # entries per call when everything is exchanged


class ServerClock:
    """The storage's time, in seconds, estimated from the local clock; before the first reading, the local clock."""

    def __init__(self, local: Callable[[], float]) -> None:
        self._local = local
        self._offset = 0.0

    def __call__(self) -> float:
        """The time now."""
        return self._local() + self._offset

    def read(self, sent: float, server: float) -> float:
        """Take a reading that was asked for at local time `sent`; says by how much the estimate has jumped, if so."""
        offset = server - (sent + self._local()) / 2
        jump = offset - self._offset
        self._offset = offset
        return jump if abs(jump) > _JUMP else 0.0


class SharedFailures:
    """One kind of failure, counted over a link (`ratelimit.link.Peer`).

    `records` must read `clock`; `server_time` (seconds) replaces the server's own time in tests.
    """

    def __init__(
        self,
        link: Link,
        policy: LockoutPolicy,
        records: Records,
        budget: FailureBudget | None,
        *,
        clock: ServerClock,
        local: Callable[[], float] = time.monotonic,
        kind: str = "failures",
        capacity: int = 10_000,
        server_time: Callable[[], float] | None = None,
    ) -> None:
        self._link = link
        self._records = records
        self._budget = budget
        self._clock = clock
        self._local = local
        self._server_time = server_time
        self._keys = tuple(link.key(f"{kind}:{part}") for part in _PARTS)
        self._kind = kind
        self._name = ""  # of the storage's data
        self._heard = 0  # number of the last message
        self._owed = 0  # number of the last message at the last beat: should have been heard by the next one
        rules = budget.policy if budget is not None else None
        self._rules: tuple[Argument, ...] = (
            policy.max_attempts,
            _ms(policy.window),
            _ms(policy.lockout),
            capacity,
            rules.failures if rules else 0,
            _ms(rules.window) if rules else 0,
            _ms(rules.interval) if rules else 0,
            _ms(rules.memory) if rules else 0,
        )
        link.add(self)

    @property
    def available(self) -> bool:
        """Whether the storage is in use now."""
        return self._link.available

    @property
    def reason(self) -> str:
        """Why it is not."""
        return self._link.reason

    async def fail(self, key: str, id: str) -> Verdict:  # noqa: A002  the field's name
        """Count one failure of `key`. Raises StorageUnavailable."""
        allowed, remaining, wait, stamp = await self._ask(self._link.ask, "fail", key, id)
        if stamp and (not allowed or remaining == 0):
            self._records.lock(key, stamp / 1000)
        elif allowed:
            await self._apply("fail", stamp / 1000, id, key)
        return Verdict(bool(allowed), remaining, wait / 1000)

    async def succeed(self, key: str, id: str) -> Verdict:  # noqa: A002  the field's name
        """Ask whether a success of `key` may be told, and clear its failures if so. Raises StorageUnavailable."""
        allowed, remaining, wait, stamp = await self._ask(self._link.ask, "succeed", key, id)
        if allowed:
            self._records.clear(key, stamp / 1000)
        elif stamp:
            self._records.lock(key, stamp / 1000)
        return Verdict(bool(allowed), remaining, wait / 1000)

    def remember(self, key: str) -> None:
        """Tell the others that `key` had a success; nobody waits for it."""
        if self._link.available:
            self._link.post(FAILURES, self._keys, self._arguments("remember", key, 0))

    # What follows is `ratelimit.link.Peer`.

    @property
    def behind(self) -> bool:
        """See `Peer`."""
        return self._records.has_unshared

    async def join(self, ask: Ask) -> None:
        """Say all that is known here; what it makes of that, and what else it knows, the storage is asked for."""
        self._heard = 0
        await self._read_meta(ask)
        cleared = self._records.take_unshared()
        for entry in list(self._records.entries()):
            await self._merge(ask, entry.key, max(entry.until, cleared.pop(entry.key, 0.0)), entry.failures)
        for key, until in cleared.items():
            await self._merge(ask, key, until, ())
        if self._budget is not None:
            for key, age in list(self._budget.known()):
                await self._ask(ask, "remember", key, _ms(age))
        await self._learn(ask)
        self._heard = max(self._heard, self._owed)

    async def catch_up(self, ask: Ask) -> None:
        """See `Peer`."""
        cleared = self._records.take_unshared()
        for entry in self._records.entries(cleared):
            await self._merge(ask, entry.key, max(entry.until, cleared[entry.key]), entry.failures)

    async def hear(self, message: bytes) -> None:
        """See `Peer`. Our own messages come, too; saying the same twice changes nothing."""
        kind, _, rest = message.decode().partition(" ")
        if kind != self._kind:
            return
        count, what, stamp, id_, key = rest.split(" ", 4)
        number = int(count)
        if number > self._heard + 1 and self._heard:
            raise StorageUnavailable(_LOST)
        self._heard = max(self._heard, number)
        await self._apply(what, int(stamp) / 1000, id_, key)

    async def beat(self, ask: Ask) -> None:
        """See `Peer`."""
        owed, name = self._owed, self._name
        await self._read_meta(ask)
        if self._name != name:
            raise StorageUnavailable("its data were lost")
        if self._heard < owed:
            raise StorageUnavailable(_LOST)

    async def _apply(self, what: str, stamp: float, id_: str, key: str) -> None:
        match what:
            case "fail":
                if self._records.add(key, Failure(stamp, id_)) and self._budget is not None:
                    await self._budget.count()
            case "lock":
                self._records.lock(key, stamp)
            case "clear":
                self._records.clear(key, stamp)
            case "success" if self._budget is not None:
                self._budget.know(key, max(0.0, self._clock() - stamp))
            case "spent" if self._budget is not None:
                self._budget.close(stamp - self._clock())
            case _:
                pass  # a newer version tells more

    async def _read_meta(self, ask: Ask) -> None:
        sent = self._local()
        # Data that have no name yet, or none any more, get this one: a new one each time, or a loss would go unnoticed.
        name, self._owed, now = await self._ask(ask, "beat", "-", secrets.token_hex(8))
        self._name = _text(name)
        if jump := self._clock.read(sent, now / 1000):
            self._records.shift(jump)

    async def _merge(self, ask: Ask, key: str, until: float, failures: tuple[Failure, ...]) -> None:
        said = (word for failure in failures for word in (_ms(failure.time), failure.id))
        void = int(_text(await self._ask(ask, "merge", key, _ms(until), *said))) / 1000
        if void > self._clock():
            self._records.lock(key, void)
        else:
            self._records.clear(key, void)

    async def _learn(self, ask: Ask) -> None:
        place = "failures:0"
        while place != "end":
            reached, found = await self._ask(ask, "learn", "-", place, _PAGE)
            for what, stamp, id_, key in found:
                await self._apply(_text(what), int(float(stamp)) / 1000, _text(id_), _text(key))
            place = _text(reached)

    async def _ask(self, ask: Ask, call: str, key: str, *more: Argument) -> Any:
        return await ask(FAILURES, self._keys, self._arguments(call, key, *more))

    def _arguments(self, call: str, key: str, *more: Argument) -> tuple[Argument, ...]:
        now = "" if self._server_time is None else _ms(self._server_time())
        return (call, self._link.channel, self._kind, key, *self._rules, now, *more)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(word: bytes | str | int) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
