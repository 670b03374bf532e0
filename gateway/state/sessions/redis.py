"""Conversations in Redis, for any number of instances. What happens there is in `scripts`.

Who waits asks again and again, the more often the nearer its turn is, and so counts as alive; the lease of an instance
that died ends by itself.
"""

import asyncio
import hashlib
import secrets
from typing import Any

from gateway.core.session_key import SessionKey
from gateway.state.link import RedisLink, ScriptCall
from gateway.state.sessions import scripts
from gateway.state.sessions.index import SessionIndex
from gateway.state.sessions.store import (
    Lease,
    Listing,
    Place,
    SessionBusy,
    SessionChanged,
    SessionFacts,
    SessionPolicy,
)

ALIVE = 3.0  # seconds that who waits counts as alive after a look
_LOOK = 0.02  # seconds between the looks of the first in line
_FARTHEST = 25  # place in line from which on nobody looks more rarely
_REMEMBERED = 60.0  # seconds in which an entry may be added once more because its answer got lost


class RedisSessions:
    """See SessionStore. `prefix` begins all keys; who waits counts as alive for `alive` seconds after each look."""

    def __init__(self, link: RedisLink, policy: SessionPolicy, *, prefix: str, alive: float = ALIVE) -> None:
        self._link = link
        self._policy = policy
        self._alive = alive
        self._prefix = prefix
        self._index = SessionIndex(link, prefix=prefix, keep=policy.ttl)
        self._leaving: set[asyncio.Task[None]] = set()

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """See SessionStore."""
        lease = Lease(key, secrets.token_hex(16))
        try:
            return Lease(key, lease.token, await self._in_turn(lease, wait))
        except BaseException:
            # Perhaps the lease was given, only nobody was there to take it.
            leaving = asyncio.create_task(self.release(lease), name="leave the line for a conversation")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._left)
            raise

    async def _in_turn(self, lease: Lease, wait: float) -> tuple[bytes, ...]:
        keys = self._keys(lease.key)
        arguments = (lease.token, *map(_ms, (self._policy.lease, self._alive, self._policy.ttl)))
        clock = asyncio.get_running_loop().time
        end = clock() + wait
        while True:
            given, answer = await self._link.run(scripts.ACQUIRE, keys, arguments)
            if given:
                return tuple(answer)
            if (left := end - clock()) <= 0:
                raise SessionBusy(wait)
            await asyncio.sleep(min(left, _LOOK * (1 + min(answer, _FARTHEST))))

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has been told already, and the line forgets who does not look

    async def close(self) -> None:
        """Wait for those that are leaving."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def renew(self, lease: Lease) -> bool:
        """See SessionStore."""
        arguments = (lease.token, _ms(self._policy.lease), _ms(2 * self._alive))
        return bool(await self._link.run(scripts.RENEW, self._keys(lease.key), arguments))

    async def append(self, lease: Lease, entry: bytes) -> None:
        """See SessionStore."""
        keys = self._keys(lease.key)
        keys.append(f"{keys[0].removesuffix('facts')}added:{lease.token}")
        policy = self._policy
        arguments = (lease.token, entry, policy.max_bytes, _ms(policy.ttl), str(lease.key), _ms(_REMEMBERED))
        append = ScriptCall(scripts.APPEND, keys, arguments)
        # The answer that it holds was paid for.
        (_, added) = await self._link.run_in_turn(self._index.put(lease.key), append, patient=True)
        if not added:
            raise SessionChanged

    async def release(self, lease: Lease) -> None:
        """See SessionStore."""
        await self._link.run(scripts.RELEASE, self._keys(lease.key), (lease.token,))

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """See SessionStore."""
        facts, entries = await self._link.run(scripts.READ, self._keys(key))
        return (_facts(key, facts, len(entries)), tuple(entries)) if entries else None

    async def delete(self, key: SessionKey) -> bool:
        """See SessionStore. A deletion whose answer got lost may say that there was nothing."""
        gone = await self._link.run(scripts.DELETE, self._keys(key))
        await self._index.drop(key)
        return bool(gone)

    async def listed(self, owner: str | None, *, everybody: bool, most: int, after: Place | None = None) -> Listing:
        """See SessionStore."""
        lines = await self._index.lines(owner, everybody=everybody, most=most, after=after)
        counted = await asyncio.gather(*(self._link.run(scripts.COUNT, self._keys(line.key)) for line in lines))
        found = tuple(
            _facts(line.key, facts, entries) for line, (facts, entries) in zip(lines, counted, strict=True) if entries
        )
        return Listing(found, lines[-1].place if len(lines) == most else None)

    def _keys(self, key: SessionKey) -> list[str]:
        tag = hashlib.sha256(str(key).encode()).hexdigest()[:40]
        return [f"{self._prefix}:{{session:{tag}}}:{name}" for name in ("facts", "entries", "line", "alive")]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _facts(key: SessionKey, facts: list[Any], entries: int) -> SessionFacts:
    created, updated, size = (int(fact or 0) for fact in facts)  # 0 where a Redis that evicts keys has lost them
    return SessionFacts(key, created / 1000, updated / 1000, size, entries)
