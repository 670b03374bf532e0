"""Failover policy: what follows from each kind of failure, as one table, and where a run stands in its candidates.

Which kind a failure is was decided in `gateway.upstream.failure` and the wire formats; `gateway.runs.attempts` follows
the table.
"""

from enum import Enum, auto

from msgspec import Struct

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate

MAX_POSTS = 3
"""Requests that one candidate gets for one answer at most, whatever they are sent for."""


class Retry(Enum):
    """Whether the same candidate is asked again."""

    NEVER = auto()
    BACKOFF = auto()
    AT_ONCE = auto()
    """Without a pause, and not counted as a retry: the failure says nothing about the provider."""
    LAST = auto()
    """Once, when nobody else is left."""


class Cooldown(Enum):
    """What a failure counts against."""

    NONE = auto()
    MODEL = auto()
    KEY = auto()
    """Opens sooner, because it does not mend by itself."""
    ENDS = auto()
    """The provider has judged the request, so it is up: a cooldown ends."""


class Rule(Struct, frozen=True):
    """What follows from one kind of failure. `hint`: the provider's `Retry-After` is waited for; `shared`: it may hold
    for other instances, too.
    """

    retry: Retry
    other_key: bool
    other_model: bool
    cooldown: Cooldown
    hint: bool = False
    shared: bool = False


# fmt: off
RULES: dict[UpstreamKind, Rule] = {
    #                                   same candidate  other  other  cooldown
    #                                   again?          key?   model? counts against
    UpstreamKind.RATE_LIMITED:     Rule(Retry.BACKOFF,  True,  True,  Cooldown.MODEL, hint=True, shared=True),
    UpstreamKind.OVERLOADED:       Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, hint=True, shared=True),
    UpstreamKind.SERVER_ERROR:     Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, hint=True, shared=True),
    UpstreamKind.UNUSABLE:         Rule(Retry.NEVER,    False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.AUTH:             Rule(Retry.NEVER,    True,  True,  Cooldown.KEY),
    UpstreamKind.BILLING:          Rule(Retry.NEVER,    True,  True,  Cooldown.KEY),
    UpstreamKind.NOT_FOUND:        Rule(Retry.NEVER,    False, True,  Cooldown.ENDS),
    UpstreamKind.INVALID_REQUEST:  Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.TOO_LARGE:        Rule(Retry.NEVER,    True,  True,  Cooldown.ENDS),
    UpstreamKind.CONTEXT_OVERFLOW: Rule(Retry.NEVER,    False, True,  Cooldown.ENDS),
    UpstreamKind.CONTENT_FILTER:   Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.TIMEOUT:          Rule(Retry.NEVER,    False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.REPORTED_TIMEOUT: Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.TOTAL_TIMEOUT:    Rule(Retry.NEVER,    False, False, Cooldown.NONE),
    UpstreamKind.STALL:            Rule(Retry.LAST,     False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.TRANSPORT:        Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.MALFORMED:        Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.STALE:            Rule(Retry.AT_ONCE,  False, True,  Cooldown.NONE),
    # What this instance can't reach, another one may.
    UpstreamKind.CONNECT:          Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL),
    UpstreamKind.CONNECT_TIMEOUT:  Rule(Retry.NEVER,    False, True,  Cooldown.MODEL),
    UpstreamKind.TLS:              Rule(Retry.NEVER,    False, True,  Cooldown.MODEL),
    UpstreamKind.LOCAL:            Rule(Retry.BACKOFF,  False, True,  Cooldown.NONE),
    # A replay: nothing that another candidate says fits what was sent any better.
    UpstreamKind.DIVERGED:         Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.PREFILL_REJECTED: Rule(Retry.AT_ONCE,  False, True,  Cooldown.ENDS),
}
# fmt: on

SHARED_KINDS = frozenset(kind for kind, rule in RULES.items() if rule.shared)
KEY_KINDS = frozenset(kind for kind, rule in RULES.items() if rule.cooldown is Cooldown.KEY)
HINT_OPENS = frozenset({UpstreamKind.RATE_LIMITED, UpstreamKind.OVERLOADED})
THRESHOLDS = {Cooldown.MODEL: 3, Cooldown.KEY: 2}  # runs in a row that open a cooldown


def another_model_may_answer(error: UpstreamError) -> bool:
    """Whether the failure is of the candidate rather than of the request."""
    return RULES[error.kind].other_model


class Cursor(Struct, frozen=True):
    """`remaining` are the candidates that can still be asked, the first of them now.

    `retries` and `hinted` (seconds waited for the provider's own hints) are those of the first. `repeated` says that a
    stalled candidate was put at the end once.
    """

    remaining: tuple[Candidate, ...]
    retries: int = 0
    hinted: float = 0.0
    repeated: bool = False

    @property
    def current(self) -> Candidate:
        """The candidate that is being asked."""
        return self.remaining[0]

    @property
    def has_other_key(self) -> bool:
        """Whether the current model is left with another key."""
        return len(self.remaining) > 1 and any(one.ref == self.current.ref for one in self.remaining[1:])

    def retried(self, hint: float, *, counted: bool) -> "Cursor":
        """The same candidate again, after `hint` seconds that the provider wanted."""
        return Cursor(self.remaining, self.retries + counted, self.hinted + hint, self.repeated)

    def moved_to(self, candidate: Candidate) -> "Cursor":
        """This candidate first, the others behind it in their order."""
        if candidate is self.remaining[0]:
            return self
        return Cursor((candidate, *(one for one in self.remaining if one is not candidate)), repeated=self.repeated)

    def without_key(self) -> "Cursor":
        """All but the current candidate; the same model with another key first."""
        current, *others = self.remaining
        same = [one for one in others if one.ref == current.ref]
        return Cursor((*same, *(one for one in others if one.ref != current.ref)), repeated=self.repeated)

    def without_model(self) -> "Cursor":
        """All but the current model, with whichever key."""
        ref = self.current.ref
        return Cursor(tuple(one for one in self.remaining if one.ref != ref), repeated=self.repeated)

    def last_again(self) -> "Cursor":
        """The current candidate behind all others, once; the next time it is dropped."""
        others = self.without_model().remaining
        return Cursor(others if self.repeated else (*others, self.current), repeated=True)
