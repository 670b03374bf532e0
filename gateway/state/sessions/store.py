"""A stored conversation and the interface of its stores.

A transcript is a list of entries: JSON documents that `gateway.conversations.transcript` writes and no store parses.
Only the holder of the conversation's lease may add an entry. The handlers decide which conversations a caller may read.
"""

from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.session_key import SessionKey

LEASE = 6.0
"""Seconds until a lease expires that its instance does not renew."""
GRACE = 4.0
"""Seconds that an expired lease is left to its holder, counted by the request that waits: a clock may have stepped."""


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """The right to add one entry to a conversation. `entries` is the transcript at that time, oldest entry first.

    `token` is a fencing token: a store refuses an entry under a lease that another request has taken over.
    """

    key: SessionKey
    token: str = field(repr=False)
    entries: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The facts of a conversation: stored `bytes` and `entries`; `created` and `updated` are Unix times in seconds."""

    key: SessionKey
    created: float
    updated: float
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the list of conversations: after the one with this key, last used at this Unix time."""

    used: float
    key: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of the list, most recently used first. `next` is the cursor of the next page, None at the end."""

    sessions: tuple[SessionFacts, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """A conversation expires `ttl` seconds after its last use. Above `max_bytes` it loses its oldest entries, but never
    the last one. If its holder is another instance, a lease expires `lease` seconds after its last renewal, and a
    request that has waited for `grace` seconds since takes it over.
    """

    ttl: float = 7 * 86_400.0
    max_bytes: int = 2 * 2**20
    lease: float = LEASE
    grace: float = GRACE


class SessionStore(Protocol):
    """Every method raises Unavailable (503) when the storage is not reachable. `policy.max_bytes` may change."""

    policy: SessionPolicy

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """Wait until all earlier requests are done, at most `wait` seconds, and take the lease. Raises SessionBusy."""
        ...

    async def renew(self, lease: Lease) -> bool:
        """Renew the lease. Returns False if another request has it."""
        ...

    async def append(self, lease: Lease, entry: bytes) -> None:
        """Add the entry and release the lease. The entry is on disk or in Redis on return. Raises SessionChanged."""
        ...

    async def release(self, lease: Lease) -> None:
        """Release the lease without adding an entry."""
        ...

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """The conversation, None if it has no entries."""
        ...

    async def delete(self, key: SessionKey) -> bool:
        """Delete the conversation; a running request loses its lease. Returns whether the conversation existed."""
        ...

    async def list_sessions(
        self, owner: str | None, *, everybody: bool, limit: int, after: Cursor | None = None
    ) -> SessionPage:
        """At most `limit` conversations of `owner` (None: those without a verified user) or of everybody.

        A conversation that is used while a client reads page by page moves to the beginning, which the client has
        already read.
        """
        ...
