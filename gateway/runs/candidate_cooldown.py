"""The cooldown of one candidate, and whose requests it is for. `cooldowns` has those of all candidates."""

from enum import Enum, auto
from hashlib import sha256

from gateway.core.upstream_error import UpstreamKind
from gateway.runs.trace import RunTrace


class Entry(Enum):
    """Whether to ask a candidate: yes (FREE), as the one probe after its cooldown, or preferably not (COOLING)."""

    FREE = auto()
    PROBE = auto()
    COOLING = auto()


class CandidateCooldown:
    """The failures of one candidate, and its cooldown while `until` is set."""

    __slots__ = (
        "alone", "cleared", "client", "failures", "hinted", "kind", "learnt", "others_came", "prober", "probing", "run",
        "seconds", "shared", "touched", "until",
    )  # fmt: skip

    def __init__(self, kind: UpstreamKind) -> None:
        self.kind = kind
        self.failures = 0
        self.run: RunTrace | None = None  # the last run that was counted
        self.until: float | None = None  # clock time; None while closed
        self.seconds = 0.0
        self.hinted = False  # the provider's Retry-After determines `until`
        self.learnt = False  # published by another instance
        self.shared = False
        self.probing = False
        self.prober = ""  # the client whose run probes
        self.client = ""  # the client whose request failed first, and then the one whose request opened it
        self.alone = False  # whether all failures are of that client
        self.cleared = False  # whether another client got an answer while `alone`
        self.others_came = False  # whether other clients sent requests since it opened
        self.touched = 0.0

    def enter_beside(self, client: str) -> Entry:
        """Admit a run of another client than the one whose runs alone have failed."""
        if self.cleared:
            return Entry.FREE
        if self.probing and self.prober != self.client:
            return Entry.COOLING
        self.probing, self.prober = True, client
        return Entry.PROBE

    def attribute(self, client: str) -> None:
        """Note whether all failures are of one client."""
        if self.cleared and client != self.client:
            self.close()  # others were answered since: their failures are counted from the beginning
        if self.until is None and not self.failures:
            self.client, self.alone = client, True
        elif client != self.client:
            self.alone = False

    def close(self) -> None:
        """End the cooldown and forget the failures."""
        self.until, self.failures, self.seconds, self.run = None, 0, 0.0, None
        self.hinted = self.learnt = self.probing = self.alone = self.cleared = False


def digest_of(client: str) -> str:
    """Names a client also in other instances, which need not know who it is; empty without one."""
    return sha256(client.encode()).hexdigest()[:16] if client else ""
