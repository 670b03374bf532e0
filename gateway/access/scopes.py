"""The scopes of callers without a shared secret: what `x-openclaw-scopes` declares, within what their identity has."""

from collections.abc import Mapping
from functools import lru_cache

from gateway.access.headers import Headers
from gateway.core.identity import ALL_SCOPES, Principal, Scope, granted

HEADER = "x-openclaw-scopes"

_CACHED_PRINCIPALS = 1024
_LONGEST_CACHED_TEXT = 512


class ScopePolicy:
    """Makes principals from a name and the scopes header.

    As recorded: header absent means the full set, present means exactly that list (comma separated, trimmed,
    case-sensitive, several headers joined), so empty means none. Who is narrowed without `operator.admin` is no owner.

    `identity_scopes` is ours and off by default, because OpenClaw ignores them on HTTP: a listed user can't have more
    than the listed scopes, whatever the header says; users that are not listed keep the full set.
    """

    def __init__(self, identity_scopes: Mapping[str, frozenset[str]] | None = None) -> None:
        self._ceilings = dict(identity_scopes or {})
        self._cached = lru_cache(_CACHED_PRINCIPALS)(self._make)

    def principal(self, name: str | None, headers: Headers) -> Principal:
        """The caller called `name` with the scopes that the request declares."""
        values = headers.getall(HEADER, ())
        declared = ",".join(values) if values else None
        cacheable = len(declared or "") + len(name or "") <= _LONGEST_CACHED_TEXT
        return (self._cached if cacheable else self._make)(name, declared)

    def _make(self, name: str | None, declared: str | None) -> Principal:
        ceiling = None if name is None else self._ceilings.get(name)
        scopes = ALL_SCOPES if declared is None else parse_scopes(declared)
        if ceiling is not None:
            scopes = ceiling if declared is None else scopes & granted(ceiling)
        return Principal(name=name, scopes=scopes, owner=Scope.ADMIN in scopes, shared_secret=False)


def parse_scopes(text: str) -> frozenset[str]:
    """The names in a scopes header; unknown names are kept, they only grant nothing."""
    return frozenset(name for part in text.split(",") if (name := part.strip()))
