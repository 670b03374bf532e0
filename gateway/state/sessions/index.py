"""Which conversations there are in Redis, used last first: for everybody a sorted set, and for each owner one.

A conversation is put into the index before its entry is added, so none is ever missing; whoever lists passes over those
of which nothing came, or nothing is left. All sets share a hash tag, so that a cluster keeps them together.

Conversations that were kept before there was an index are found by a look at all keys, which is taken again after a day
(by whoever lists then), in case a Redis that evicts keys has lost a part of the index.
"""

import functools
import hashlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from redis.asyncio.cluster import RedisCluster

from gateway.core.session_key import SessionKey, parse_session_key
from gateway.state.link import Client, RedisLink, RedisScript, ScriptCall
from gateway.state.sessions.scripts import NOW
from gateway.state.sessions.store import Place

_COMPLETE = "-"  # in the set of everybody, where its score says until when nobody needs to look at all keys; no key
_DAY = 86_400_000  # milliseconds
_SCANNED = 500  # keys in one step of a look at all of them

# KEYS: everybody's, the owner's. ARGV: the key, how long conversations are kept, when it was used ("" for now); ms.
_PUT = RedisScript(
    NOW
    + """
for _, set in ipairs(KEYS) do
    if ARGV[3] == '' then redis.call('ZADD', set, now, ARGV[1]) else redis.call('ZADD', set, 'NX', ARGV[3], ARGV[1]) end
    redis.call('ZREMRANGEBYSCORE', set, '-inf', now - ARGV[2])
    redis.call('PEXPIRE', set, ARGV[2])
end
return 1
"""
)
_DROP = RedisScript("for _, set in ipairs(KEYS) do redis.call('ZREM', set, ARGV[1]) end return 1")
# KEYS: everybody's. ARGV: the member that says so, a day (ms), how long conversations are kept (ms).
_COMPLETED = RedisScript(
    NOW
    + """
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
_IS_COMPLETE = RedisScript(NOW + "return tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) > now and 1 or 0")


class Entry(NamedTuple):
    """A line of the index."""

    key: SessionKey
    place: Place


class SessionIndex:
    """`prefix` begins all keys; `keep` is how long conversations are kept (seconds)."""

    def __init__(self, link: RedisLink, *, prefix: str, keep: float) -> None:
        self._link = link
        self._prefix = prefix
        self._keep = int(keep * 1000)
        self._all = f"{prefix}:{{sessions}}:all"

    def put(self, key: SessionKey, used: int | None = None) -> ScriptCall:
        """The call that says that it is used now, or was (ms)."""
        return ScriptCall(_PUT, (self._all, self._of(key.owner)), (str(key), self._keep, "" if used is None else used))

    async def drop(self, key: SessionKey) -> None:
        """There is nothing of it."""
        await self._link.run(_DROP, [self._all, self._of(key.owner)], [str(key)])

    async def lines(self, owner: str | None, *, everybody: bool, most: int, after: Place | None) -> list[Entry]:
        """So many lines, or as many as there are, after the place."""
        if not await self._link.run(_IS_COMPLETE, [self._all], [_COMPLETE]):
            await self._complete()
        name = self._all if everybody else self._of(owner)
        until = "+inf" if after is None else round(after.used * 1000)
        found: list[Entry] = []
        start = 0
        while len(found) < most:
            page = await self._link.ask(
                lambda client, start=start: client.zrevrangebyscore(  # type: ignore[misc]
                    name, until, "-inf", start=start, num=most + 1, withscores=True
                )
            )
            found += [line for member, score in page if (line := _line(member, score, after)) is not None]
            start += len(page)
            if len(page) <= most:
                break
        return found[:most]

    async def _complete(self) -> None:
        async for name in self._everything():
            printed, used = await self._link.ask(lambda client, name=name: client.hmget(name, "key", "updated"))  # type: ignore[misc]
            if printed is not None and used is not None and (key := parse_session_key(printed.decode())) is not None:
                await self._link.ask(self.put(key, int(used)).made)
        await self._link.run(_COMPLETED, [self._all], [_COMPLETE, _DAY, self._keep])

    async def _everything(self) -> AsyncIterator[bytes]:
        """The facts of every conversation, found by a look at all keys, step by step."""
        pattern = f"{_escaped(self._prefix)}:{{session:*}}:facts"
        for node in await self._link.ask(_nodes):
            cursor, found = 0, list[bytes]()
            while True:
                step = functools.partial(_step, node=node, cursor=cursor, pattern=pattern)
                cursor, found = await self._link.ask(step)
                for name in found:
                    yield name
                if not cursor:
                    break

    def _of(self, owner: str | None) -> str:
        name = "owner" if owner is None else f"user:{owner}"
        return f"{self._prefix}:{{sessions}}:{hashlib.sha256(name.encode()).hexdigest()[:40]}"


async def _nodes(client: Client) -> list[Any]:
    """Whom to ask for keys: each primary of a cluster; None, for the only one, of anything else."""
    if not isinstance(client, RedisCluster):
        return [None]
    await client.initialize()
    return client.get_primaries()


async def _step(client: Client, *, node: Any, cursor: int, pattern: str) -> tuple[int, list[bytes]]:
    where = {} if node is None else {"target_nodes": node}
    answer: Any = await client.scan(cursor, match=pattern, count=_SCANNED, **where)
    following, found = answer  # of a cluster's node, where to go on stands beside the node's name
    return next(iter(following.values())) if isinstance(following, dict) else following, found


def _line(member: bytes, score: float, after: Place | None) -> Entry | None:
    """The line, if it comes after the place: those of one moment are sorted by their key, the last one first."""
    printed = member.decode()
    key = parse_session_key(printed)
    place = Place(score / 1000, printed)
    if key is None or (after is not None and (place.used, printed.encode()) >= (after.used, after.key.encode())):
        return None
    return Entry(key, place)


def _escaped(prefix: str) -> str:
    """As it stands in a pattern of Redis."""
    return "".join(f"\\{one}" if one in "*?[]^\\" else one for one in prefix)
