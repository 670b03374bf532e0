"""The keys of clients by digest, in the memory of this process: a request looks its key up and waits for nothing.

`key_registry` fills and changes the replica of the stored keys. Keys that the configuration declares never change.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from gateway.access.outcome import Authenticated, Credential, Outcome, Rejected
from gateway.core.client_key import LENGTH, PREFIX, KeyRecord, digest_of
from gateway.core.identity import Principal, Scope, granted

_SHARED_PARTS = 1024


class KeyReplica:
    """The stored keys, as far as this instance knows them.

    `loaded` is False until the store has been read once: before that an unknown key may be a right one. `used` has the
    names of the keys that were used since somebody emptied it; it is never larger than the number of keys.
    """

    def __init__(self) -> None:
        self.loaded = False
        self.used: set[str] = set()
        self._keys: dict[bytes, Principal] = {}
        self._digests: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def principals(self) -> list[Principal]:
        """The owners of the keys."""
        return list(self._keys.values())

    def get(self, digest: bytes) -> Principal | None:
        """The owner of the key with this SHA-256."""
        return self._keys.get(digest)

    def put(self, record: KeyRecord) -> None:
        """Add a key, or replace the one with its name."""
        self.drop(record.name)
        digest = bytes.fromhex(record.digest)
        self._keys[digest] = principal_of(record)
        self._digests[record.name] = digest

    def drop(self, name: str) -> bytes | None:
        """Remove a key. Returns its digest, None if there was none."""
        digest = self._digests.pop(name, None)
        if digest is not None:
            del self._keys[digest]
        return digest

    def replace(self, other: "KeyReplica") -> None:
        """Take over all keys of `other`."""
        self._keys, self._digests, self.loaded = other._keys, other._digests, True  # noqa: SLF001  of its own class


class KeyRing:
    """All keys that open this gateway: the declared ones, then the stored ones. `clock` gives Unix time in seconds.

    `credential` is the class of the mode's secret: a wrong key counts with wrong tokens or passwords.
    """

    def __init__(
        self, credential: Credential, declared: Iterable[KeyRecord], stored: KeyReplica, clock: Callable[[], float]
    ) -> None:
        self._credential = credential
        self._declared = {bytes.fromhex(record.digest): principal_of(record) for record in declared}
        self._stored = stored
        self._clock = clock
        self._wrong = Rejected("wrong", credential, why="wrong client key")
        self._unknown = Rejected("unverifiable", credential, why="the stored client keys could not be read yet")

    def authenticate(self, presented: str) -> Outcome | None:
        """The key's principal or its refusal. None if it has not the form of a key.

        The time depends on the form of `presented` and on the answer only: an attacker can't steer the digests that
        the lookup compares. An expired key is refused, but it is no guess, so it does not count as a failure.
        """
        if len(presented) != LENGTH or not presented.startswith(PREFIX):
            return None
        digest = digest_of(presented)
        principal = self._declared.get(digest) or self._stored.get(digest)
        if principal is None:
            return self._wrong if self._stored.loaded else self._unknown
        if principal.expires is not None and principal.expires <= self._clock():
            return Rejected("refused", self._credential, why=f"client key {principal.name} has expired")
        if principal.name is not None:
            self._stored.used.add(principal.name)
        return Authenticated(principal, self._credential)


def principal_of(record: KeyRecord) -> Principal:
    """The caller who uses the key of a record. Keys with equal scopes, agents and limits share these parts."""
    scopes = _shared(granted(frozenset(record.scopes)))
    is_admin = Scope.ADMIN in scopes
    return Principal(
        name=record.name,
        scopes=scopes,
        owner=is_admin,
        shared_secret=False,
        is_admin=is_admin,
        agents=None if record.agents is None else _shared(frozenset(record.agents)),
        limits=_shared(record.limits),
        budget=_shared(record.budget),
        expires=record.expires,
    )


@lru_cache(_SHARED_PARTS)
def _shared(part: Any) -> Any:
    return part
