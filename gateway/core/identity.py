"""Who is calling and what they may do: scopes, what they imply, and the principal that carries them.

Finding out who is calling is the business of `gateway.access`.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """Operator scopes in OpenClaw's own order (recorded); a caller may also carry names unknown to us."""

    ADMIN = "operator.admin"
    READ = "operator.read"
    WRITE = "operator.write"
    APPROVALS = "operator.approvals"
    QUESTIONS = "operator.questions"
    PAIRING = "operator.pairing"
    TALK_SECRETS = "operator.talk.secrets"


ALL_SCOPES: frozenset[str] = frozenset(scope.value for scope in Scope)
"""The full operator set: what a caller has when nothing narrows it."""

_IMPLIED: dict[str, frozenset[str]] = {
    Scope.WRITE.value: frozenset({Scope.READ.value}),
    Scope.ADMIN.value: frozenset({Scope.READ.value, Scope.WRITE.value}),
}


def implies(scope: str) -> frozenset[str]:
    """The scopes that come with `scope`, without itself: write brings read, admin brings both (recorded)."""
    return _IMPLIED.get(scope, frozenset())


def granted(scopes: frozenset[str]) -> frozenset[str]:
    """`scopes` and everything they imply."""
    return scopes.union(*(implies(scope) for scope in scopes))


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `name` is the identity that a trusted proxy vouched for, None for a shared secret or an open gateway. `scopes` are
    as declared, unknown names included. `owner` callers act with the operator's own standing; `shared_secret` callers
    proved the gateway's token or password, so headers can't narrow them.
    """

    name: str | None
    scopes: frozenset[str]
    owner: bool
    shared_secret: bool
    _granted: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_granted", granted(self.scopes))

    def allows(self, scope: str) -> bool:
        """Whether the caller has `scope`, directly or by implication."""
        return scope in self._granted


OWNER = Principal(name=None, scopes=ALL_SCOPES, owner=True, shared_secret=True)
"""The bearer of the gateway's own token or password."""
