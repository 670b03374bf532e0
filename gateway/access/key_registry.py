"""Creates, revokes and lists client keys, and keeps this instance's replica in step with the store.

No request waits for the store. Another instance's change is read when `heard` reports it (`gateway.key_sync`), or when
`compare` sees another version of the store. A revocation holds here at once, whatever the store does; while the store
does not answer it is repeated until it does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import structlog

from gateway.access.client_keys import KeyReplica
from gateway.core.client_key import KeyRecord, digest_of, new_key
from gateway.core.errors import AlreadyExists, BadRequest, Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.observe.repeated_step import RepeatedStep
from gateway.state.keys.store import MAX_KEYS, KeyStore, TooManyKeys

log = structlog.get_logger(__name__)

_RETRY = 1.0  # seconds between two tries to reach a store that did not answer
_USES = 10.0  # seconds between two writes of last uses
_MAX_REVOKED = 10_000
_PAGE = 500  # keys that are built without a pause for other requests

Announce = Callable[[int, str], None]
"""Tells the other instances: the store's new version, and the name of the key that has changed."""


class Revocation(NamedTuple):
    """`existed` is whether there was such a key; `pending` whether the store does not know of its revocation yet."""

    existed: bool
    pending: bool


class KeyRegistry:
    """`clock` gives Unix time in seconds. `gateway.key_sync` sets `announce`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.replica = KeyReplica()
        self.announce: Announce | None = None
        self._clock = clock
        self._store: KeyStore | None = None
        self._lock = asyncio.Lock()  # one conversation with the store at a time
        self._wake = asyncio.Event()
        self._version = 0  # of the store, as the replica has it
        self._heard = 0  # the newest version that was announced without a gap
        self._changed: set[str] = set()
        self._all_changed = True
        self._revoked: dict[str, str] = {}  # digest → name, the oldest first: an older copy of the store may return
        self._unsaved: dict[str, str] = {}  # those of them that the store may still have

    @asynccontextmanager
    async def serving(self, store: KeyStore) -> AsyncIterator[None]:
        """Read the keys, and keep them in step. A store that does not answer is tried again."""
        self._store = store
        await self._step()
        task = asyncio.create_task(self._run(), name="keep client keys in step")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self._try_to_save_uses()

    async def create(self, record: KeyRecord) -> str:
        """Store a new key. Returns it; nobody can read it again. The record's digest and time are filled in here.

        Raises AlreadyExists, BadRequest when there are too many keys, and Unavailable.
        """
        key = new_key()
        made = KeyRecord(
            record.name,
            digest_of(key).hex(),
            record.scopes,
            record.agents,
            record.limits,
            created=self._clock(),
            expires=record.expires,
            budget=record.budget,
        )
        async with self._lock:
            try:
                version = await self._open_store.add(made)
            except TooManyKeys:
                raise BadRequest(
                    f"There are {MAX_KEYS} keys, and no more are stored. Revoke some.", code="too_many_keys"
                ) from None
            if version is None:
                raise AlreadyExists(
                    f"There is a key with the name '{record.name}'. Choose another, or revoke that one.",
                    code="key_exists",
                )
            self.replica.put(made)
        self._tell(version, made.name)
        return key

    async def revoke(self, name: str) -> Revocation:
        """Revoke a stored key: here at once, and everywhere as soon as the store has it."""
        dropped = self._drop(name)
        try:
            async with self._lock:
                dropped |= self._drop(name)  # what held the lock may have added it
                version = await self._open_store.remove(name)
        except Unavailable as error:
            if not dropped:
                raise
            drop_tracebacks(error)
            self._wake.set()
            return Revocation(existed=True, pending=True)
        for digest in dropped:
            self._unsaved.pop(digest, None)
        self._tell(version, name)
        return Revocation(existed=bool(dropped) or version is not None, pending=False)

    async def records(self) -> list[KeyRecord]:
        """All stored keys by name. Raises Unavailable."""
        records = [record async for page in self._open_store.read_all() for record in page]
        return sorted({record.name: record for record in records}.values(), key=lambda record: record.name)

    async def last_used(self, names: Sequence[str]) -> dict[str, float]:
        """When these keys were last used, anywhere, to within some seconds. Raises Unavailable."""
        now = self._clock()
        return await self._open_store.last_used(names) | {name: now for name in names if name in self.replica.used}

    def heard(self, version: int, name: str) -> None:
        """Another instance, or this one, has changed the key with this name."""
        if version <= self._heard:
            return
        if version == self._heard + 1:
            self._changed.add(name)
        else:
            self._all_changed = True
        self._heard = version
        self._wake.set()

    def compare(self, version: int) -> None:
        """This is the store's version now: read all keys if the replica has another one and no change is under way."""
        if version != (self._heard if self._changed or self._lock.locked() else self._version):
            self.read_again()

    def read_again(self) -> None:
        """Read all keys: messages may have been lost, or the store may be another one than before."""
        self._all_changed = True
        self._wake.set()

    def _drop(self, name: str) -> set[str]:
        """Remove a key from the replica, and remember that it is revoked. Returns its digest, if there was one."""
        digest = self.replica.drop(name)
        self.replica.used.discard(name)
        if digest is None:
            return set()
        self._revoked[digest.hex()] = self._unsaved[digest.hex()] = name
        while len(self._revoked) > _MAX_REVOKED:
            self._revoked.pop(next(iter(self._revoked)))
        return {digest.hex()}

    @property
    def _open_store(self) -> KeyStore:
        if self._store is None:
            raise Unavailable("The gateway is starting. Try again.")
        return self._store

    def _tell(self, version: int | None, name: str) -> None:
        if version is not None and self.announce is not None:
            self.announce(version, name)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        uses_due = loop.time() + _USES
        reading, saving = RepeatedStep("read client keys"), RepeatedStep("store the last uses of client keys")
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY):
                    await self._wake.wait()
            self._wake.clear()
            with reading.run():
                await self._step()
            if loop.time() >= uses_due:
                uses_due = loop.time() + _USES
                with saving.run():
                    await self._try_to_save_uses()

    async def _step(self) -> None:
        """Read what has changed and write what is not stored yet, as far as the store answers."""
        try:
            async with self._lock:
                await self._refresh()
            await self._repeat_revocations()
        except Unavailable as error:  # the store's health reports it
            drop_tracebacks(error)

    async def _refresh(self) -> None:
        if self._all_changed:
            await self._read_all()
        elif self._changed:
            await self._read_changed()

    async def _read_all(self) -> None:
        store = self._open_store
        version, built = await store.version(), KeyReplica()
        self._all_changed, self._changed = False, set()
        try:
            async for page in store.read_all():
                for start in range(0, len(page), _PAGE):
                    for record in page[start : start + _PAGE]:
                        self._put(built, record)
                    await asyncio.sleep(0)
        except BaseException:
            self._all_changed = True
            raise
        for digest, name in self._revoked.items():  # one may have been revoked while its page was built
            if built.get(bytes.fromhex(digest)) is not None:
                built.drop(name)
        self.replica.replace(built)
        self._version = version
        self._heard = max(version, self._heard) if self._changed else version

    async def _read_changed(self) -> None:
        names, version = self._changed, self._heard
        self._changed = set()
        try:
            records = await self._open_store.read(sorted(names))
        except BaseException:
            self._changed |= names
            raise
        for name in names:
            self.replica.drop(name)
        for record in records:
            self._put(self.replica, record)
        self._version = version

    def _put(self, replica: KeyReplica, record: KeyRecord) -> None:
        """Add a key, unless it was revoked here: the store may not know it yet, or have lost it since."""
        if record.digest in self._revoked:
            self._unsaved[record.digest] = record.name
        else:
            replica.put(record)

    async def _repeat_revocations(self) -> None:
        for digest, name in list(self._unsaved.items()):
            async with self._lock:
                version = await self._open_store.remove(name, digest)
            self._unsaved.pop(digest, None)
            self._tell(version, name)

    async def _try_to_save_uses(self) -> None:
        try:
            await self._save_uses()
        except Unavailable as error:  # the store's health reports it
            drop_tracebacks(error)

    async def _save_uses(self) -> None:
        names, self.replica.used = self.replica.used, set()
        if not names:
            return
        try:
            await self._open_store.mark_used(dict.fromkeys(names, self._clock()))
        except BaseException:
            self.replica.used |= names
            raise
