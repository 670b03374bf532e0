"""Failover policy: a table of what follows from each kind of failure, and the cursor of a run over its candidates.

`gateway.upstream.failure` and the wire formats classify failures; `gateway.runs.attempts` follows the table.
"""

from enum import Enum, auto

from msgspec import Struct

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidates import Candidate

MAX_POSTS = 3
"""The maximum number of requests that one candidate gets for one answer, whatever their reason."""


class Retry(Enum):
    """Whether the same candidate is asked again."""

    NEVER = auto()
    BACKOFF = auto()
    AT_ONCE = auto()
    """Without a pause, and not counted as a retry: the failure says nothing about the provider."""
    LAST = auto()
    """Once, after all other candidates."""


class Cooldown(Enum):
    """What a failure counts against."""

    NONE = auto()
    MODEL = auto()
    KEY = auto()
    """Opens sooner, because a refused key does not recover by itself."""
    ENDS = auto()
    """The provider is up, because it examined the request: a cooldown ends."""


class Rule(Struct, frozen=True):
    """What follows from one kind of failure. `hint`: the provider's `Retry-After` is obeyed; `shared`: the failure may
    affect other instances too.
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
    # OpenAI says "does not exist or you do not have access to it": another account may have it.
    UpstreamKind.NOT_FOUND:        Rule(Retry.NEVER,    True,  True,  Cooldown.ENDS),
    UpstreamKind.INVALID_REQUEST:  Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.TOO_LARGE:        Rule(Retry.NEVER,    True,  True,  Cooldown.ENDS),
    UpstreamKind.CONTEXT_OVERFLOW: Rule(Retry.NEVER,    False, True,  Cooldown.ENDS),
    UpstreamKind.CONTENT_FILTER:   Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.UNSUPPORTED:      Rule(Retry.NEVER,    False, True,  Cooldown.NONE),
    UpstreamKind.TIMEOUT:          Rule(Retry.NEVER,    False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.REPORTED_TIMEOUT: Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.TOTAL_TIMEOUT:    Rule(Retry.NEVER,    False, False, Cooldown.NONE),
    UpstreamKind.STALL:            Rule(Retry.LAST,     False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.TRANSPORT:        Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.MALFORMED:        Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL, shared=True),
    UpstreamKind.STALE:            Rule(Retry.AT_ONCE,  False, True,  Cooldown.NONE),
    # Another instance may reach what this one can't.
    UpstreamKind.CONNECT:          Rule(Retry.BACKOFF,  False, True,  Cooldown.MODEL),
    UpstreamKind.CONNECT_TIMEOUT:  Rule(Retry.NEVER,    False, True,  Cooldown.MODEL),
    UpstreamKind.TLS:              Rule(Retry.NEVER,    False, True,  Cooldown.MODEL),
    UpstreamKind.LOCAL:            Rule(Retry.BACKOFF,  False, True,  Cooldown.NONE),
    # After a replay: an answer of another candidate would not match the sent part either.
    UpstreamKind.DIVERGED:         Rule(Retry.NEVER,    False, False, Cooldown.ENDS),
    UpstreamKind.PREFILL_REJECTED: Rule(Retry.AT_ONCE,  False, True,  Cooldown.ENDS),
}
# fmt: on

SHARED_KINDS = frozenset(kind for kind, rule in RULES.items() if rule.shared)
KEY_KINDS = frozenset(kind for kind, rule in RULES.items() if rule.cooldown is Cooldown.KEY)
HINT_OPENS = frozenset({UpstreamKind.RATE_LIMITED, UpstreamKind.OVERLOADED})
THRESHOLDS = {Cooldown.MODEL: 3, Cooldown.KEY: 2}  # runs in a row that open a cooldown


def another_model_may_answer(error: UpstreamError) -> bool:
    """Whether the candidate, not the request, is the cause of the failure."""
    return RULES[error.kind].other_model


class Cursor(Struct, frozen=True):
    """The candidates that can still be asked; the first one is the current one.

    `retries` and `hinted` (seconds that the run waited because of `Retry-After`) belong to the current candidate.
    `repeated` is True once a stalled candidate was moved to the end.
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
        """Whether the current model has another key."""
        return len(self.remaining) > 1 and any(one.ref == self.current.ref for one in self.remaining[1:])

    def retried(self, hint: float, *, counted: bool) -> "Cursor":
        """A retry of the current candidate, after `hint` seconds of `Retry-After`."""
        return Cursor(self.remaining, self.retries + counted, self.hinted + hint, self.repeated)

    def moved_to(self, candidate: Candidate) -> "Cursor":
        """With this candidate first; the order of the others stays."""
        if candidate is self.remaining[0]:
            return self
        return Cursor((candidate, *(one for one in self.remaining if one is not candidate)), repeated=self.repeated)

    def without(self, candidate: Candidate) -> "Cursor":
        """Without this candidate, which is not the current one."""
        remaining = tuple(one for one in self.remaining if one is not candidate)
        return Cursor(remaining, self.retries, self.hinted, self.repeated)

    def without_key(self) -> "Cursor":
        """Without the current candidate; other keys of the same model come first."""
        current, *others = self.remaining
        same = [one for one in others if one.ref == current.ref]
        return Cursor((*same, *(one for one in others if one.ref != current.ref)), repeated=self.repeated)

    def without_model(self) -> "Cursor":
        """Without the current model and all of its keys."""
        ref = self.current.ref
        return Cursor(tuple(one for one in self.remaining if one.ref != ref), repeated=self.repeated)

    def last_again(self) -> "Cursor":
        """With the current candidate behind all others, once; the next time it is removed."""
        others = self.without_model().remaining
        return Cursor(others if self.repeated else (*others, self.current), repeated=True)
