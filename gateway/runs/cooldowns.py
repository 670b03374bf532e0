"""Cooldowns: a candidate that keeps failing is skipped for a while, then one run probes it before traffic returns.

A cooldown steers, it does not refuse: a run without another candidate asks a cooling one all the same
(`gateway.runs.attempts` decides that). The unit is address, credential and model, so that a model that is down says
nothing about its neighbours, and a withdrawn key nothing about the other keys.

Only candidates in trouble have an entry, MAX_ENTRIES at most; while nobody fails this costs nothing. An entry that was
closed, evicted or never made is an ordinary answer everywhere: the candidate is free.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from msgspec import Struct

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.trace import RunTrace

MAX_ENTRIES = 1000  # the one that was touched longest ago goes first
_TIMER_GRAIN = 0.002  # seconds that a timer may be early: loops keep time in milliseconds
_MAX_HINT = 600.0  # seconds; a provider that asks for more is tried again all the same
_FORGET_AFTER = 600.0  # seconds; failures that long ago are not "in a row" with the next


class Entry(Enum):
    """Whether a candidate should be asked: freely, as the one probe after its cooldown, or rather another one."""

    FREE = auto()
    PROBE = auto()
    COOLING = auto()


class Failure(Struct, frozen=True):
    """One run gave a candidate up. `threshold` runs in a row open the cooldown; `shared`: other instances may know."""

    error: UpstreamError
    threshold: int
    shared: bool


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """A cooldown lasts `seconds`, doubled after each failed probe up to `max_seconds`."""

    seconds: float = 2.0
    max_seconds: float = 15.0


class SharedCooldown(Struct, frozen=True):
    """What other instances learn: a candidate cools down for so many seconds from now (0: no more), and why."""

    unit: str
    seconds: float
    kind: UpstreamKind


class _Cooldown:
    __slots__ = (
        "client", "failures", "hinted", "kind", "learnt", "others_came", "probing", "run", "seconds", "shared",
        "touched", "until",
    )  # fmt: skip

    def __init__(self, kind: UpstreamKind) -> None:
        self.kind = kind
        self.failures = 0
        self.run: RunTrace | None = None  # the last one that was counted
        self.until: float | None = None  # clock time; None while closed
        self.seconds = 0.0
        self.hinted = False  # the provider itself said until when
        self.learnt = False  # from another instance
        self.shared = False
        self.probing = False
        self.client = ""  # whose request opened it
        self.others_came = False  # requests of other clients, since it opened
        self.touched = 0.0


class Cooldowns:
    """The cooldowns of one process. `clock` counts seconds."""

    def __init__(self, policy: CooldownPolicy, *, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._publish: Callable[[SharedCooldown], None] = lambda _: None
        self._entries: dict[str, _Cooldown] = {}
        self._sweep_at = 0.0

    def share(self, publish: Callable[[SharedCooldown], None]) -> None:
        """Call `publish` when a cooldown begins or (0 seconds) ends. What others publish comes in by `learn`."""
        self._publish = publish

    @property
    def all_closed(self) -> bool:
        """Whether no candidate has failed lately."""
        return not self._entries

    def enter(self, unit: str, run: RunTrace) -> Entry:
        """Ask for admission. A run that gets PROBE must report with `answered`, `failed` or `abandoned`."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep(now)
        entry = self._entries.get(unit)
        if entry is None or entry.until is None:
            return Entry.FREE
        until = entry.until
        if run.client != entry.client:
            entry.others_came = True
        elif entry.others_came:
            until += entry.seconds  # another client makes the probe: this one's requests may be what fails
        if entry.probing or now + _TIMER_GRAIN < until:
            return Entry.COOLING
        entry.probing = True
        return Entry.PROBE

    def cooling(self, unit: str) -> bool:
        """Whether a candidate cools down; does not ask for admission."""
        entry = self._entries.get(unit)
        if entry is None or entry.until is None:
            return False
        return entry.probing or self._clock() + _TIMER_GRAIN < entry.until

    def hinted_wait(self, unit: str) -> float:
        """Seconds until the provider itself wants to be asked again, as it told this process; 0 when it did not."""
        entry = self._entries.get(unit)
        if entry is None or entry.until is None or not entry.hinted or entry.learnt:
            return 0.0
        return max(0.0, entry.until - self._clock())

    def kind(self, unit: str) -> UpstreamKind | None:
        """After which kind of failure a candidate cools down; None when it does not."""
        entry = self._entries.get(unit)
        return None if entry is None or entry.until is None else entry.kind

    def failed(self, unit: str, failure: Failure, entry: Entry, run: RunTrace) -> None:
        """A run gave the candidate up; each run counts once."""
        known = self._entry(unit, failure.error.kind)
        known.kind, known.shared, known.touched = failure.error.kind, failure.shared, self._clock()
        if entry is Entry.PROBE:
            known.probing = False
            if known.until is None or known.until <= self._clock() + _TIMER_GRAIN:  # else a new hint has opened it
                seconds = max(known.seconds, self._policy.seconds) * 2
                self._open(unit, known, min(seconds, self._policy.max_seconds), run)
        elif known.until is None and known.run is not run:
            known.run = run
            known.failures += 1
            if known.failures >= failure.threshold:
                self._open(unit, known, self._policy.seconds, run)

    def hinted(self, unit: str, failure: Failure, run: RunTrace) -> None:
        """The provider said for how long it does not want to be asked: that holds at once."""
        known = self._entry(unit, failure.error.kind)
        known.kind, known.shared, known.touched = failure.error.kind, failure.shared, self._clock()
        hint = min(failure.error.retry_after or 0.0, _MAX_HINT)
        if known.until is None or known.until < self._clock() + hint:
            self._open(unit, known, hint, run, hinted=True)

    def answered(self, unit: str) -> None:
        """A first event has come: the cooldown ends, though the answer may still break."""
        entry = self._entries.get(unit)
        if entry is not None and entry.until is not None:
            self._close(entry)
            if entry.shared:
                self._publish(SharedCooldown(unit, 0.0, entry.kind))

    def succeeded(self, unit: str) -> None:
        """A complete answer: whatever was before is forgotten."""
        if unit in self._entries:
            self.answered(unit)
            del self._entries[unit]

    def abandoned(self, unit: str) -> None:
        """A probe ended without a result; the next run may make it."""
        if (entry := self._entries.get(unit)) is not None:
            entry.probing = False

    def learn(self, shared: SharedCooldown) -> None:
        """What another instance has published. It steers this one, but never outweighs what happened here."""
        entry = self._entries.get(shared.unit)
        if shared.seconds <= 0:
            if entry is not None and (entry.learnt or entry.shared):
                del self._entries[shared.unit]
            return
        if entry is None:
            entry = self._entry(shared.unit, shared.kind)
        if entry.until is None:
            entry.learnt, entry.kind, entry.hinted = True, shared.kind, False
            entry.until = self._clock() + min(shared.seconds, _MAX_HINT)
            entry.seconds = min(shared.seconds, self._policy.max_seconds)
            entry.touched = self._clock()

    def _entry(self, unit: str, kind: UpstreamKind) -> _Cooldown:
        entry = self._entries.pop(unit, None)
        if entry is None:
            if len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            entry = _Cooldown(kind)
        self._entries[unit] = entry  # at the end: touched last
        return entry

    def _open(self, unit: str, entry: _Cooldown, seconds: float, run: RunTrace, *, hinted: bool = False) -> None:
        entry.seconds = min(seconds, self._policy.max_seconds)
        entry.until = self._clock() + seconds
        entry.hinted, entry.learnt = hinted, False
        entry.client, entry.others_came = run.client, False
        if entry.shared:
            self._publish(SharedCooldown(unit, seconds, entry.kind))

    def _close(self, entry: _Cooldown) -> None:
        entry.until, entry.failures, entry.seconds, entry.run = None, 0, 0.0, None
        entry.hinted = entry.learnt = entry.probing = False

    def _sweep(self, now: float) -> None:
        """Forget what is so long ago that it means nothing, so that the fast path of `all_closed` is found again."""
        self._sweep_at = now + 60.0
        for unit, entry in list(self._entries.items()):
            if now - max(entry.touched, entry.until or 0.0) > _FORGET_AFTER and not entry.probing:
                del self._entries[unit]
