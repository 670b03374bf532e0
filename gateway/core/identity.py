"""Scopes, the scopes that they imply, and the principal: an authenticated caller and its scopes.

`gateway.access` authenticates callers.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """Operator scopes in OpenClaw's order (recorded). A caller may also have scopes with other names."""

    ADMIN = "operator.admin"
    READ = "operator.read"
    WRITE = "operator.write"
    APPROVALS = "operator.approvals"
    QUESTIONS = "operator.questions"
    PAIRING = "operator.pairing"
    TALK_SECRETS = "operator.talk.secrets"


ALL_SCOPES: frozenset[str] = frozenset(scope.value for scope in Scope)
"""The full operator set. A caller has it unless something narrows its scopes."""

_IMPLIED: dict[str, frozenset[str]] = {
    Scope.WRITE.value: frozenset({Scope.READ.value}),
    Scope.ADMIN.value: frozenset({Scope.READ.value, Scope.WRITE.value}),
}


def implies(scope: str) -> frozenset[str]:
    """The other scopes that `scope` implies: write implies read, admin implies both (recorded)."""
    return _IMPLIED.get(scope, frozenset())


def granted(scopes: frozenset[str]) -> frozenset[str]:
    """`scopes` and all scopes that they imply: the same object where they imply no other."""
    everything = scopes.union(*(implies(scope) for scope in scopes))
    return scopes if len(everything) == len(scopes) else everything


class ClientBudget(Struct, frozen=True, forbid_unknown_fields=True):
    """How many tokens or nanodollars a client may use in a sliding window of `window` seconds: one of the two."""

    window: int
    tokens: int | None = None
    nanodollars: int | None = None


class ClientLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one client, besides those of the configuration; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_runs: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `name` is the identity that a trusted proxy verified, or the name of the client key; None with a shared secret or
    without authentication. `scopes` are the declared names, unknown ones included. An `owner` has the operator's own
    rights. A `shared_secret` caller presented the gateway's token or password, so headers can't narrow its scopes.
    `is_admin` means that the configuration or an administrator has made this user an administrator. `agents` are the
    ids of the agents that it may use, None for all. `limits` and `budget` are its own, None without any. `expires` is
    the Unix time in seconds at which its key expires, None if it never does.
    """

    name: str | None
    scopes: frozenset[str]
    owner: bool
    shared_secret: bool
    is_admin: bool = False
    agents: frozenset[str] | None = None
    limits: ClientLimits | None = None
    budget: ClientBudget | None = None
    expires: float | None = None
    _granted: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_granted", granted(self.scopes))

    def allows(self, scope: str) -> bool:
        """Whether the caller has `scope`, or a scope that implies it."""
        return scope in self._granted

    def may_use(self, agent: str) -> bool:
        """Whether the caller may use the agent with this id."""
        return self.agents is None or agent in self.agents

    @property
    def administers(self) -> bool:
        """Whether the caller may read and change what belongs to other users.

        A user that a proxy verified needs `operator.admin` and an entry in the configuration: the absence of a header
        gives every user the full set of scopes, and must not make every user an administrator of the others.
        """
        return self.allows(Scope.ADMIN) and (self.name is None or self.is_admin)


OWNER = Principal(name=None, scopes=ALL_SCOPES, owner=True, shared_secret=True)
"""The caller who presented the gateway's token or password."""
