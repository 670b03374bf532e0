"""Conversations in Redis, for any number of instances. What happens there is in `scripts`.

Who waits asks again and again, the more often the nearer its turn is, and so counts as alive; the lease of an instance
that died ends by itself.
"""

import asyncio
import hashlib
import secrets
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from gateway.core.session_key import SessionKey, parse_session_key
from gateway.state.script import asked
from gateway.state.sessions import scripts
from gateway.state.sessions.store import Lease, SessionBusy, SessionChanged, SessionFacts, SessionPolicy

_ALIVE = 3.0  # seconds that who waits counts as alive after a look
_LOOK = 0.02  # seconds between the looks of the first in line
_FARTHEST = 25  # place in line from which on nobody looks more rarely
_TOGETHER = 100  # conversations that are asked for at the same time


class RedisSessions:
    """See SessionStore. `prefix` begins all keys."""

    def __init__(self, client: Redis | RedisCluster, policy: SessionPolicy, *, prefix: str) -> None:
        self._client = client
        self._policy = policy
        self._prefix = prefix
        self._leaving: set[asyncio.Task[None]] = set()

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """See SessionStore."""
        lease = Lease(key, secrets.token_hex(16))
        try:
            async with asyncio.timeout(wait):
                return Lease(key, lease.token, await self._in_turn(lease))
        except BaseException as error:
            # Perhaps the lease was given, only nobody was there to take it.
            leaving = asyncio.create_task(self.release(lease), name="leave the line for a conversation")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._left)
            if isinstance(error, TimeoutError):
                raise SessionBusy(wait) from None
            raise

    async def _in_turn(self, lease: Lease) -> tuple[bytes, ...]:
        keys = self._keys(lease.key)
        arguments = (lease.token, *map(_ms, (self._policy.lease, _ALIVE, self._policy.ttl)))
        while True:
            given, answer = await scripts.ACQUIRE.run(self._client, keys, arguments)
            if given:
                return tuple(answer)
            await asyncio.sleep(_LOOK * (1 + min(answer, _FARTHEST)))

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has been told already, and the line forgets who does not look

    async def close(self) -> None:
        """Wait for those that are leaving."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def renew(self, lease: Lease) -> bool:
        """See SessionStore."""
        arguments = (lease.token, _ms(self._policy.lease), _ms(2 * _ALIVE))
        return bool(await scripts.RENEW.run(self._client, self._keys(lease.key), arguments))

    async def append(self, lease: Lease, entry: bytes) -> None:
        """See SessionStore."""
        arguments = (lease.token, entry, self._policy.max_bytes, _ms(self._policy.ttl), str(lease.key))
        if not await scripts.APPEND.run(self._client, self._keys(lease.key), arguments):
            raise SessionChanged

    async def release(self, lease: Lease) -> None:
        """See SessionStore."""
        await scripts.RELEASE.run(self._client, self._keys(lease.key), (lease.token,))

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """See SessionStore."""
        facts, entries = await scripts.READ.run(self._client, self._keys(key))
        return (_facts([*facts, len(entries)]), tuple(entries)) if entries else None

    async def delete(self, key: SessionKey) -> bool:
        """See SessionStore."""
        return bool(await scripts.DELETE.run(self._client, self._keys(key)))

    async def listed(self, owner: str | None, *, everybody: bool, most: int) -> list[SessionFacts]:
        """See SessionStore. Looks at every key of the Redis: there is no index that could be out of step."""

        async def names() -> list[bytes]:
            return [
                name async for name in self._client.scan_iter(match=f"{self._prefix}:{{session:*}}:facts", count=500)
            ]

        found: list[SessionFacts] = []
        facts = [name.decode() for name in await asked(names)]
        for start in range(0, len(facts), _TOGETHER):
            keys = [(name, name.removesuffix("facts") + "entries") for name in facts[start : start + _TOGETHER]]
            for answer in await asyncio.gather(*(scripts.COUNT.run(self._client, pair) for pair in keys)):
                if answer[4]:
                    one = _facts(answer)
                    if everybody or one.key.owner == owner:
                        found.append(one)
        found.sort(key=lambda one: one.updated, reverse=True)
        return found[:most]

    def _keys(self, key: SessionKey) -> list[str]:
        tag = hashlib.sha256(str(key).encode()).hexdigest()[:40]
        return [f"{self._prefix}:{{session:{tag}}}:{name}" for name in ("facts", "entries", "line")]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _facts(answer: list[Any]) -> SessionFacts:
    printed, created, updated, size, entries = answer
    key = parse_session_key(printed.decode())
    if key is None:
        raise AssertionError("a stored key is a printed one")
    return SessionFacts(key, int(created) / 1000, int(updated) / 1000, int(size), int(entries))
