"""Cooldowns: a candidate that keeps failing is skipped for a while, then one run probes it before traffic returns.

A cooldown changes the order of candidates and refuses nothing: a run without an alternative asks a cooling candidate
all the same (`gateway.runs.attempts` decides that). A cooldown belongs to an address, a credential and a model, so it
does not affect other models of the provider or its other keys.

Failures of one client's runs alone may be the fault of its requests: the provider may fail on that prompt only. Such a
cooldown holds for that client. Runs of other clients probe at once, one at a time; after an answer they are free, and
after a failure the cooldown holds for everybody.

Only candidates that failed have an entry, at most MAX_ENTRIES; without failures this costs nothing. A candidate without
an entry, because it was closed, evicted or never created, is free.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidate_cooldown import CandidateCooldown, Entry, digest_of
from gateway.runs.trace import RunTrace

MAX_ENTRIES = 1000  # beyond that, the least recently used entry is evicted
_TIMER_GRAIN = 0.002  # seconds that a timer may be early: event loops count milliseconds
_MAX_HINT = 600.0  # seconds; a longer Retry-After counts as this
_FORGET_AFTER = 600.0  # seconds; older failures don't count as "in a row"
_TRUST = 300.0  # seconds in which this process believes its own success more than the failures of other instances


class Failure(Struct, frozen=True):
    """A run gave a candidate up. `threshold` such runs in a row open a cooldown; `shared`: it is published."""

    error: UpstreamError
    threshold: int
    shared: bool


@dataclass(frozen=True, slots=True)
class CooldownPolicy:
    """A cooldown lasts `seconds`, doubled after each failed probe up to `max_seconds`."""

    seconds: float = 2.0
    max_seconds: float = 15.0


class SharedCooldown(Struct, frozen=True):
    """A published cooldown: it lasts `seconds` from now (0: it has ended); `kind` is its cause. `client` is a digest of
    the client whose failures alone opened it, empty if there are several.
    """

    unit: str
    seconds: float
    kind: UpstreamKind
    client: str = ""


class Cooldowns:
    """The cooldowns of one process. `clock` counts seconds."""

    def __init__(self, policy: CooldownPolicy, *, clock: Callable[[], float]) -> None:
        self.policy = policy
        self._clock = clock
        self._publish: Callable[[SharedCooldown], None] = lambda _: None
        self._entries: dict[str, CandidateCooldown] = {}
        self._sweep_at = 0.0
        self._proven: dict[
            str, float
        ] = {}  # candidates that answered here while others published a cooldown: until when

    def share(self, publish: Callable[[SharedCooldown], None]) -> None:
        """Call `publish` when a cooldown begins or (0 seconds) ends. `learn` takes what other instances publish."""
        self._publish = publish

    @property
    def all_closed(self) -> bool:
        """Whether no candidate has failed recently."""
        return not self._entries

    def enter(self, unit: str, run: RunTrace) -> Entry:
        """Request admission. A run that gets PROBE must call `answered`, `failed` or `abandoned`."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep(now)
        entry = self._entries.get(unit)
        if entry is None or entry.until is None:
            return Entry.FREE
        until, client = entry.until, digest_of(run.client)
        if client != entry.client:
            entry.others_came = True
            if entry.alone:
                return entry.enter_beside(client)
        elif entry.others_came:
            until += (
                entry.seconds
            )  # another client should probe: this client's requests may be the cause of the failures
        if entry.probing or now + _TIMER_GRAIN < until:
            return Entry.COOLING
        entry.probing, entry.prober = True, client
        return Entry.PROBE

    def cooling(self, unit: str, run: RunTrace | None = None) -> bool:
        """Whether a candidate cools down for this run. Without a run: for all clients, as far as this process knows.
        Does not request admission.
        """
        entry = self._entries.get(unit)
        if entry is None or entry.until is None:
            return False
        if entry.cleared and run is None:
            return False
        if run is not None and entry.alone and entry.client != digest_of(run.client):
            return not entry.cleared and entry.probing and entry.prober != entry.client
        return entry.probing or self._clock() + _TIMER_GRAIN < entry.until

    def remaining(self, unit: str) -> float:
        """The seconds until a run may probe a candidate that cools down; 0 if it does not, or if one probes it now."""
        entry = self._entries.get(unit)
        return 0.0 if entry is None or entry.until is None else max(0.0, entry.until - self._clock())

    def hinted_wait(self, unit: str) -> float:
        """The remaining seconds of a `Retry-After` that the provider sent to this process; 0 without one."""
        entry = self._entries.get(unit)
        if entry is None or entry.until is None or not entry.hinted or entry.learnt:
            return 0.0
        return max(0.0, entry.until - self._clock())

    def kind(self, unit: str) -> UpstreamKind | None:
        """The kind of failure after which a candidate cools down; None if it does not."""
        entry = self._entries.get(unit)
        return None if entry is None or entry.until is None else entry.kind

    def failed(self, unit: str, failure: Failure, entry: Entry, run: RunTrace) -> None:
        """A run gave the candidate up. Each run counts once."""
        known = self._entry(unit, failure.error.kind)
        known.kind, known.shared, known.touched = failure.error.kind, failure.shared, self._clock()
        known.attribute(digest_of(run.client))
        if entry is Entry.PROBE:
            known.probing = False
            if (
                known.until is None or known.until <= self._clock() + _TIMER_GRAIN
            ):  # else a new Retry-After has opened it
                seconds = max(known.seconds, self.policy.seconds) * 2
                self._open(unit, known, min(seconds, self.policy.max_seconds), run)
        elif known.until is None and known.run is not run:
            known.run = run
            known.failures += 1
            if known.failures >= failure.threshold:
                self._open(unit, known, self.policy.seconds, run)

    def hinted(self, unit: str, failure: Failure, run: RunTrace) -> None:
        """The provider sent `Retry-After`: the cooldown opens at once."""
        known = self._entry(unit, failure.error.kind)
        known.kind, known.shared, known.touched = failure.error.kind, failure.shared, self._clock()
        hint = min(failure.error.retry_after or 0.0, _MAX_HINT)
        known.alone = known.cleared = False  # the provider itself says that it can't answer
        if known.until is None or known.until < self._clock() + hint:
            self._open(unit, known, hint, run, hinted=True)

    def answered(self, unit: str, run: RunTrace) -> None:
        """The candidate sent a first event: its cooldown ends, although the answer may still break.

        If it holds for one client, an answer to another one does not end it.
        """
        entry = self._entries.get(unit)
        if entry is None or entry.until is None:
            return
        if entry.learnt:
            self._trust(unit)
        elif entry.alone and entry.client != digest_of(run.client):
            entry.cleared, entry.probing = True, False
            return
        entry.close()
        if entry.shared:
            self._publish(SharedCooldown(unit, 0.0, entry.kind))

    def succeeded(self, unit: str, run: RunTrace) -> None:
        """The answer is complete: forget all failures, but not those of a client that cools down alone."""
        self.answered(unit, run)
        entry = self._entries.get(unit)
        if entry is not None and entry.until is None:
            del self._entries[unit]

    def abandoned(self, unit: str) -> None:
        """A probe ended without a result; the next run may probe."""
        if (entry := self._entries.get(unit)) is not None:
            entry.probing = False

    def learn(self, shared: SharedCooldown) -> None:
        """Apply a cooldown that another instance published. What this process observed itself has priority.

        If the candidate has answered here during an earlier one, the cause lies with that instance or on its way to the
        provider: then cooldowns of others are ignored for a while, until the candidate fails here. So however long the
        `Retry-After` of that instance is, this one sends its own probe after the longest cooldown.
        """
        entry = self._entries.get(shared.unit)
        if shared.seconds <= 0:
            if entry is not None and (entry.learnt or entry.shared):
                del self._entries[shared.unit]
            return
        if self._proven.get(shared.unit, 0.0) > self._clock():
            return
        if entry is None:
            entry = self._entry(shared.unit, shared.kind)
        if entry.until is None:
            entry.learnt, entry.kind, entry.hinted = True, shared.kind, False
            entry.client, entry.alone, entry.others_came = shared.client, bool(shared.client), False
            entry.seconds = min(shared.seconds, self.policy.max_seconds)
            entry.until = self._clock() + entry.seconds
            entry.touched = self._clock()

    def _trust(self, unit: str) -> None:
        self._proven.pop(unit, None)
        while len(self._proven) >= MAX_ENTRIES:
            del self._proven[next(iter(self._proven))]
        self._proven[unit] = self._clock() + _TRUST

    def _entry(self, unit: str, kind: UpstreamKind) -> CandidateCooldown:
        entry = self._entries.pop(unit, None)
        if entry is None:
            if len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            entry = CandidateCooldown(kind)
        self._entries[unit] = entry  # at the end: most recently used
        return entry

    def _open(
        self, unit: str, entry: CandidateCooldown, seconds: float, run: RunTrace, *, hinted: bool = False
    ) -> None:
        entry.seconds = min(seconds, self.policy.max_seconds)
        entry.until = self._clock() + seconds
        entry.hinted, entry.learnt = hinted, False
        entry.client, entry.others_came = digest_of(run.client), False
        self._proven.pop(unit, None)
        if entry.shared:
            self._publish(SharedCooldown(unit, seconds, entry.kind, entry.client if entry.alone else ""))

    def _sweep(self, now: float) -> None:
        """Remove old entries, so that the fast path of `all_closed` works again."""
        self._sweep_at = now + 60.0
        for unit, entry in list(self._entries.items()):
            if now - max(entry.touched, entry.until or 0.0) > _FORGET_AFTER and not entry.probing:
                del self._entries[unit]
