"""Cooldowns: who has failed repeatedly is left alone for a while, then tried by one run before the others come back.

One circuit per candidate and key, so that a model that is down says nothing about its neighbours, and a key that was
withdrawn nothing about the other keys. Only candidates in trouble have one: while nobody fails this costs nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from gateway.core.upstream_error import UpstreamError, UpstreamKind

_MOST = 1000  # circuits that are kept; the oldest is forgotten first
_GRAIN = 0.002  # seconds that a timer may be early: loops keep time in milliseconds
_LONGEST_HINT = 600.0  # seconds; a provider that asks for more is tried again all the same


class Entry(Enum):
    """Whether a candidate may be asked: freely, as the one probe after its rest, or not now."""

    FREE = auto()
    PROBE = auto()
    RESTING = auto()


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """`failures` in a row open a circuit for `rest` seconds, doubled after each failed probe up to `longest`."""

    failures: int = 3
    rest: float = 2.0
    longest: float = 15.0


@dataclass(frozen=True, slots=True)
class Rest:
    """What other instances are told: until when (seconds from now) a candidate rests, and after which failure."""

    name: str
    seconds: float
    kind: UpstreamKind
    message: str


class _Circuit:
    __slots__ = ("changed", "failure", "failures", "probing", "rest", "until")

    def __init__(self, failure: UpstreamError) -> None:
        self.failure = failure
        self.failures = 0
        self.rest = 0.0
        self.until: float | None = None  # clock time; None while closed
        self.probing = False
        self.changed: asyncio.Event | None = None

    def settle(self) -> None:
        """Tell those who wait for the probe."""
        self.probing = False
        if self.changed is not None:
            self.changed.set()
            self.changed = None


class Cooldowns:
    """The circuits of one process. `clock` counts seconds."""

    def __init__(self, policy: CooldownPolicy, *, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._tell: Callable[[Rest], None] = lambda _: None
        self._known: dict[str, _Circuit] = {}

    def share(self, tell: Callable[[Rest], None]) -> None:
        """Call `tell` when a rest begins or (0 seconds) ends. What others tell comes in by `learn`."""
        self._tell = tell

    @property
    def quiet(self) -> bool:
        """Whether nobody is in trouble."""
        return not self._known

    def enter(self, name: str) -> Entry:
        """Ask for admission. Who gets PROBE must report with `answered`, `failed` or `left`."""
        circuit = self._known.get(name)
        if circuit is None or circuit.until is None:
            return Entry.FREE
        if circuit.probing or self._clock() + _GRAIN < circuit.until:
            return Entry.RESTING
        circuit.probing = True
        return Entry.PROBE

    def failed(self, name: str, error: UpstreamError, entry: Entry, *, at_once: bool) -> None:
        """An attempt failed. `at_once` opens the circuit without waiting for more failures."""
        circuit = self._known.get(name)
        if circuit is None:
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            circuit = self._known[name] = _Circuit(error)
        circuit.failure = error
        if entry is Entry.PROBE:
            self._open(name, circuit, min(circuit.rest * 2, self._policy.longest))
        elif circuit.until is None:  # else it was sent off before the rest began, and says nothing new
            circuit.failures += 1
            if at_once or circuit.failures >= self._policy.failures:
                self._open(name, circuit, self._policy.rest)

    def answered(self, name: str) -> None:
        """A first sign of life: a rest ends, though the answer may still break."""
        circuit = self._known.get(name)
        if circuit is not None and circuit.until is not None:
            circuit.until, circuit.failures, circuit.rest = None, 0, 0.0
            circuit.settle()
            self._tell(Rest(name, 0.0, circuit.failure.kind, ""))

    def succeeded(self, name: str) -> None:
        """A complete answer: whatever was before is forgotten."""
        if name in self._known:
            self.answered(name)
            del self._known[name]

    def left(self, name: str) -> None:
        """A probe ended without a result; the next run may make it."""
        if (circuit := self._known.get(name)) is not None and circuit.probing:
            circuit.settle()

    def ends(self, name: str) -> float:
        """When the rest of a resting candidate ends (clock time)."""
        until = self._known[name].until
        return self._clock() if until is None else until

    def is_permanent(self, name: str) -> bool:
        """Whether waiting is no use: a refused key does not mend by itself."""
        return self._known[name].failure.kind in (UpstreamKind.AUTH, UpstreamKind.BILLING)

    def refusal(self, name: str) -> UpstreamError:
        """What to tell a caller for whom nobody was asked."""
        failure, left = self._known[name].failure, max(0.0, self.ends(name) - self._clock())
        kind = failure.kind
        if kind not in (UpstreamKind.AUTH, UpstreamKind.BILLING, UpstreamKind.RATE_LIMITED):
            kind = UpstreamKind.OVERLOADED
        said = f"{name.partition('#')[0]} was not asked, because it failed repeatedly: {failure.message}"
        return UpstreamError(kind, said, code=failure.code, retry_after=left)

    async def wait(self, name: str, patience: float, sleep: Callable[[float], Awaitable[object]]) -> Entry:
        """Wait out a rest, and another run's probe, for `patience` seconds at most; what `enter` says then."""
        until = self._clock() + patience
        circuit = self._known.get(name)
        if circuit is not None and not circuit.probing and circuit.until is not None:
            if circuit.until > until:
                return Entry.RESTING
            await sleep(circuit.until - self._clock())
        entry = self.enter(name)
        circuit = self._known.get(name)
        if entry is not Entry.RESTING or circuit is None or not circuit.probing:
            return entry
        circuit.changed = circuit.changed or asyncio.Event()
        try:
            async with asyncio.timeout(until - self._clock()):
                await circuit.changed.wait()
        except TimeoutError:
            return Entry.RESTING
        return self.enter(name)

    def learn(self, rest: Rest) -> None:
        """What another instance has found out."""
        if rest.seconds <= 0:
            if (circuit := self._known.pop(rest.name, None)) is not None:
                circuit.until = None
                circuit.settle()
            return
        circuit = self._known.setdefault(rest.name, _Circuit(UpstreamError(rest.kind, rest.message)))
        if not circuit.probing:
            circuit.until = max(circuit.until or 0.0, self._clock() + rest.seconds)
            circuit.rest = max(circuit.rest, min(rest.seconds, self._policy.longest))

    def _open(self, name: str, circuit: _Circuit, rest: float) -> None:
        hint = min(circuit.failure.retry_after or 0.0, _LONGEST_HINT)
        circuit.rest = rest
        circuit.until = self._clock() + max(rest, hint)
        circuit.settle()
        self._tell(Rest(name, max(rest, hint), circuit.failure.kind, circuit.failure.message))
