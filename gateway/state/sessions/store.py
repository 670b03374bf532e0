"""What is kept of conversations, and the seam behind which it is kept.

A transcript is a list of entries: JSON documents that `gateway.conversations.transcript` writes and no store reads.
Only the holder of the conversation's lease may add one. Whose conversation a caller may ask for is decided above.
"""

from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.errors import Conflict
from gateway.core.session_key import SessionKey

LEASE = 10.0
"""Seconds that a lease of an instance holds after its last sign of life."""


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """The right to add one entry to a conversation, and its transcript when the right was given, oldest entry first.

    `token` fences: an entry under a lease that somebody else has taken over is refused.
    """

    key: SessionKey
    token: str = field(repr=False)
    entries: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A conversation from outside; `bytes` and `entries` are what is kept of it, times are Unix times in seconds."""

    key: SessionKey
    created: float
    updated: float
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of conversations: after the one with this key that was used at this Unix time."""

    used: float
    key: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list, used last first; `next` is where to go on, None at the end."""

    sessions: tuple[SessionFacts, ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """A conversation that rested for `ttl` seconds is forgotten. One larger than `max_bytes` loses its oldest entries,
    but never its last. A lease ends `lease` seconds after it was given or renewed, if its holder lives elsewhere.
    """

    ttl: float = 7 * 86_400.0
    max_bytes: int = 2 * 2**20
    lease: float = LEASE


class SessionStore(Protocol):
    """Raises Unavailable (503) from every method when the conversations can't be reached."""

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """The lease, once everybody who asked earlier is done; at most `wait` seconds later. Raises SessionBusy."""
        ...

    async def renew(self, lease: Lease) -> bool:
        """Hold it for longer. False when it is no longer ours."""
        ...

    async def append(self, lease: Lease, entry: bytes) -> None:
        """Add the entry and give the lease back; on the disk or in Redis when this returns. Raises SessionChanged."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease back without adding anything."""
        ...

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """The conversation; None when nothing of it is kept."""
        ...

    async def delete(self, key: SessionKey) -> bool:
        """Forget it; who is at work on it loses the lease. Whether there was something to forget."""
        ...

    async def listed(self, owner: str | None, *, everybody: bool, most: int, after: Place | None = None) -> Listing:
        """At most so many conversations of `owner` (None: those without a verified user) or of everybody.

        One that is used while somebody goes through the list may move to its beginning, which is behind them.
        """
        ...


class SessionBusy(Conflict):
    """Another request is at work on the conversation, and does not end in time."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            f"Another request has been at work on this conversation for {wait:g} s. Send this one again later.",
            code="session_busy",
            retry_after=max(1, round(wait / 2)),
        )


class SessionChanged(Conflict):
    """The conversation went on, or was deleted, while this request held an outdated lease."""

    def __init__(self) -> None:
        super().__init__(
            "The conversation was changed by another request or deleted meanwhile; this turn is not part of it. Send "
            "the request again.",
            code="session_changed",
            retry_after=1,
        )
