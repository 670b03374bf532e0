"""Conversations in Redis, for any number of instances. `scripts` has the rules.

A waiting request polls for the lease, more often when it is near the front of the queue. Polling also shows that it is
alive. The lease of a dead instance expires.
"""

import asyncio
import hashlib
import secrets
from typing import Any

from gateway.core.errors import SessionBusy, SessionChanged
from gateway.core.session_key import SessionKey
from gateway.state.redis_client import RedisClient, ScriptCall
from gateway.state.redis_room import CONVERSATIONS
from gateway.state.sessions import scripts
from gateway.state.sessions.index import SessionIndex
from gateway.state.sessions.store import Cursor, Lease, SessionFacts, SessionPage, SessionPolicy

WAITER_TTL = 3.0  # seconds that a waiting request counts as alive after a poll
_POLL_INTERVAL = 0.02  # seconds between polls of the first in the queue
_MAX_BACKOFF_POSITION = 25  # requests behind this position poll as often as the one at it
_HELD = 2 * 86_400.0  # seconds of life of a conversation under its lease, whatever Redis's clock does meanwhile
_APPEND_MEMORY = 60.0  # seconds in which a repeated append is recognised, because its result got lost


class RedisSessions:
    """See SessionStore. All keys begin with `prefix`; a waiting request counts as alive `waiter_ttl` s after a poll."""

    def __init__(
        self, redis: RedisClient, policy: SessionPolicy, *, prefix: str, waiter_ttl: float = WAITER_TTL
    ) -> None:
        self._redis = redis
        self.policy = policy
        self._waiter_ttl = waiter_ttl
        self._prefix = prefix
        self._index = SessionIndex(redis, prefix=prefix, retention=policy.ttl)
        self._releases: set[asyncio.Task[None]] = set()

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """See SessionStore."""
        self._redis.room.check(0, CONVERSATIONS)  # before an answer is paid for that could not be stored
        lease = Lease(key, secrets.token_hex(16))
        try:
            return Lease(key, lease.token, await self._poll_lease(lease, wait))
        except BaseException:
            # Redis may have given the lease although nobody received it.
            task = asyncio.create_task(self.release(lease), name="leave the queue for a conversation")
            self._releases.add(task)
            task.add_done_callback(self._forget_release)
            raise

    async def _poll_lease(self, lease: Lease, wait: float) -> tuple[bytes, ...]:
        keys = self._keys(lease.key)
        arguments = (lease.token, *map(_ms, (self.policy.lease, self._waiter_ttl, self.policy.ttl)))
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait
        lapsed, since = b"", 0.0  # the end of a lease that is over by Redis's clock, and when this was seen first
        while True:
            lost = lapsed if lapsed and clock() - since >= self.policy.grace else b""
            acquired, result, *more = await self._redis.run_script(
                scripts.ACQUIRE_LEASE, keys, (*arguments, lost, _ms(_HELD))
            )
            if acquired:
                return tuple(result)
            if more[0] != lapsed:
                lapsed, since = more[0], clock()
            if (remaining := deadline - clock()) <= 0:
                raise SessionBusy(wait)
            await asyncio.sleep(min(remaining, _POLL_INTERVAL * (1 + min(result, _MAX_BACKOFF_POSITION))))

    def _forget_release(self, task: asyncio.Task[None]) -> None:
        self._releases.discard(task)
        if not task.cancelled():
            task.exception()  # the caller has its own error, and the queue drops tokens that do not poll

    async def close(self) -> None:
        """Wait for the releases that run, and end a scan."""
        await asyncio.gather(*self._releases, return_exceptions=True)
        await self._index.close()

    async def renew(self, lease: Lease) -> bool:
        """See SessionStore."""
        arguments = (lease.token, _ms(self.policy.lease), _ms(_HELD))
        return bool(await self._redis.run_script(scripts.RENEW_LEASE, self._keys(lease.key), arguments))

    async def append(self, lease: Lease, entry: bytes) -> None:
        """See SessionStore."""
        keys = self._keys(lease.key)
        keys.append(f"{keys[0].removesuffix('facts')}added:{lease.token}")
        policy = self.policy
        arguments = (lease.token, entry, policy.max_bytes, _ms(policy.ttl), str(lease.key), _ms(_APPEND_MEMORY))
        append = ScriptCall(scripts.APPEND_ENTRY, keys, arguments)
        # The entry holds an answer that has been paid for.
        with self._redis.room.reserve(len(entry), CONVERSATIONS):
            (_, added) = await self._redis.run_scripts(self._index.put(lease.key), append, full_timeout=True)
        if not added:
            raise SessionChanged

    async def release(self, lease: Lease) -> None:
        """See SessionStore."""
        await self._redis.run_script(scripts.RELEASE_LEASE, self._keys(lease.key), (lease.token, _ms(self.policy.ttl)))

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """See SessionStore."""
        facts, entries = await self._redis.run_script(scripts.READ_SESSION, self._keys(key))
        return (_facts(key, facts, len(entries)), tuple(entries)) if entries else None

    async def delete(self, key: SessionKey) -> bool:
        """See SessionStore. Returns False if the result of an earlier attempt of the same deletion got lost."""
        deleted = await self._redis.run_script(scripts.DELETE_SESSION, self._keys(key))
        await self._index.drop(key)
        return bool(deleted)

    async def list_sessions(
        self, owner: str | None, *, everybody: bool, limit: int, after: Cursor | None = None
    ) -> SessionPage:
        """See SessionStore."""
        indexed = await self._index.entries(owner, everybody=everybody, limit=limit, after=after)
        counted = await asyncio.gather(
            *(self._redis.run_script(scripts.COUNT_ENTRIES, self._keys(one.key)) for one in indexed)
        )
        sessions = tuple(
            _facts(one.key, facts, entries) for one, (facts, entries) in zip(indexed, counted, strict=True) if entries
        )
        return SessionPage(sessions, indexed[-1].cursor if len(indexed) == limit else None)

    def _keys(self, key: SessionKey) -> list[str]:
        tag = hashlib.sha256(str(key).encode()).hexdigest()[:40]
        return [f"{self._prefix}:{{session:{tag}}}:{name}" for name in ("facts", "entries", "line", "alive")]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _facts(key: SessionKey, facts: list[Any], entries: int) -> SessionFacts:
    # A Redis that evicts keys may have lost them, and one damaged conversation must not hide the others.
    created, updated, size = (int(fact) if fact is not None and fact.isdigit() else 0 for fact in facts)
    return SessionFacts(key, created / 1000, updated / 1000, size, entries)
