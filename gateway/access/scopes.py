"""The scopes of callers without a shared secret: what `x-openclaw-scopes` declares, within what their identity has."""

from collections.abc import Mapping
from functools import lru_cache

from gateway.access.headers import Headers
from gateway.core.identity import ALL_SCOPES, Principal, Scope, granted

HEADER = "x-openclaw-scopes"

_CACHED_PRINCIPALS = 1024
_LONGEST_CACHED_TEXT = 512
_NOTHING: frozenset[str] = frozenset()


class ScopePolicy:
    """Makes principals from a name and the scopes header.

    As recorded: header absent means the full set, present means exactly that list (comma separated, trimmed,
    case-sensitive, several headers joined), so empty means none. Who is narrowed without `operator.admin` is no owner.

    `identity_scopes` is ours and None by default, because OpenClaw ignores them on HTTP: with it a listed user has
    exactly the listed scopes and everybody else none; the header can narrow them and never widen.
    """

    def __init__(self, identity_scopes: Mapping[str | None, frozenset[str]] | None = None) -> None:
        self._listed = identity_scopes
        self._cached = lru_cache(_CACHED_PRINCIPALS)(self._make)

    def principal(self, name: str | None, headers: Headers) -> Principal:
        """The caller called `name` with the scopes that the request declares."""
        values = headers.getall(HEADER, ())
        declared = ",".join(values) if values else None
        cacheable = len(declared or "") + len(name or "") <= _LONGEST_CACHED_TEXT
        return (self._cached if cacheable else self._make)(name, declared)

    def _make(self, name: str | None, declared: str | None) -> Principal:
        scopes = ALL_SCOPES if self._listed is None else self._listed.get(name, _NOTHING)
        if declared is not None:
            asked = parse_scopes(declared)
            # What both allow, by implication too: who declares admin and has write, has write.
            scopes = asked if self._listed is None else granted(asked) & granted(scopes)
        return Principal(name=name, scopes=scopes, owner=Scope.ADMIN in scopes, shared_secret=False)


def parse_scopes(text: str) -> frozenset[str]:
    """The names in a scopes header; unknown names are kept, they only grant nothing."""
    return frozenset(name for part in text.split(",") if (name := part.strip()))
