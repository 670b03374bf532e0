"""The scopes of callers without a shared secret: those in `x-openclaw-scopes`, limited to those of the identity."""

from collections.abc import Mapping
from functools import lru_cache

from gateway.access.headers import Headers
from gateway.core.identity import ALL_SCOPES, Principal, Scope, granted

HEADER = "x-openclaw-scopes"

_CACHED_PRINCIPALS = 1024
_MAX_CACHED_TEXT = 512  # characters
_NO_SCOPES: frozenset[str] = frozenset()


class ScopePolicy:
    """Creates principals from a name and the scopes header.

    As recorded: without the header a caller has the full set. With it, the caller has exactly that list (comma
    separated, trimmed, case-sensitive, several headers joined), so an empty header means no scopes. A caller narrowed
    to scopes without `operator.admin` is not an owner.

    `identity_scopes` is ours and None by default, because OpenClaw ignores them on HTTP. With it, a user in the mapping
    has exactly those scopes, and all other users have none. The header can narrow the scopes but not widen them.

    `admins` are the users who may administer what belongs to other users (ours); they have all scopes.
    """

    def __init__(
        self,
        identity_scopes: Mapping[str | None, frozenset[str]] | None = None,
        admins: frozenset[str] = frozenset(),
    ) -> None:
        self._identity_scopes = identity_scopes
        self._admins = admins
        self._cached = lru_cache(_CACHED_PRINCIPALS)(self._make)

    def principal(self, name: str | None, headers: Headers) -> Principal:
        """The principal called `name`, with the scopes that the request declares."""
        values = headers.getall(HEADER, ())
        declared = ",".join(values) if values else None
        cacheable = len(declared or "") + len(name or "") <= _MAX_CACHED_TEXT
        return (self._cached if cacheable else self._make)(name, declared)

    def _make(self, name: str | None, declared: str | None) -> Principal:
        identity_scopes = self._identity_scopes
        is_admin = name in self._admins
        scopes = ALL_SCOPES if is_admin or identity_scopes is None else identity_scopes.get(name, _NO_SCOPES)
        if declared is not None:
            narrowed = parse_scopes(declared)
            # The scopes that both imply: a caller that declares admin and has write gets write.
            scopes = narrowed if identity_scopes is None else granted(narrowed) & granted(scopes)
        return Principal(name=name, scopes=scopes, owner=Scope.ADMIN in scopes, shared_secret=False, is_admin=is_admin)


def parse_scopes(text: str) -> frozenset[str]:
    """The names in a scopes header. Unknown names stay in the set and grant nothing."""
    return frozenset(name for part in text.split(",") if (name := part.strip()))
