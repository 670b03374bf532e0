"""The index of conversations in Redis, most recently used first: a sorted set for all, and one for each owner.

A conversation enters the index before its entry is added, so the index never misses one. Readers skip conversations
without entries. All sets share a hash tag, so a cluster stores them together.

A scan of all keys adds conversations that are older than the index. A reader repeats the scan after a day, because a
Redis that evicts keys may have lost a part of the index.
"""

import asyncio
import functools
import hashlib
from typing import Any, NamedTuple

from redis.asyncio.cluster import RedisCluster

from gateway.core.errors import Unavailable
from gateway.core.session_key import SessionKey, parse_session_key
from gateway.core.tracebacks import drop_tracebacks
from gateway.state.connect import Client
from gateway.state.redis_client import RedisClient, ScriptCall
from gateway.state.script import load_script
from gateway.state.sessions.store import Cursor

_COMPLETE = "-"  # a member of the set of all, no session key; its score is the time of the next scan
_SCAN_INTERVAL = 86_400_000  # milliseconds
_SCAN_COUNT = 100  # keys in one step of a scan

_INDEX_SESSION = load_script(__file__, "index_session")
_UNINDEX_SESSION = load_script(__file__, "unindex_session")
_MARK_INDEX_COMPLETE = load_script(__file__, "mark_index_complete")
_CHECK_INDEX_COMPLETE = load_script(__file__, "check_index_complete")


class IndexEntry(NamedTuple):
    """A conversation and its position in the index."""

    key: SessionKey
    cursor: Cursor


class SessionIndex:
    """All keys begin with `prefix`. `retention` is how long conversations are stored (seconds)."""

    def __init__(self, redis: RedisClient, *, prefix: str, retention: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._retention_ms = int(retention * 1000)
        self._all = f"{prefix}:{{sessions}}:all"
        self._scan: asyncio.Task[None] | None = None

    def put(self, key: SessionKey, used: int | None = None) -> ScriptCall:
        """The call that records a use of the conversation at the time `used` (ms); None is now."""
        arguments = (str(key), self._retention_ms, "" if used is None else used)
        return ScriptCall(_INDEX_SESSION, (self._all, self._owner_set(key.owner)), arguments)

    async def drop(self, key: SessionKey) -> None:
        """Remove a conversation."""
        await self._redis.run_script(_UNINDEX_SESSION, [self._all, self._owner_set(key.owner)], [str(key)])

    async def entries(
        self, owner: str | None, *, everybody: bool, limit: int, after: Cursor | None
    ) -> list[IndexEntry]:
        """At most `limit` entries after the cursor."""
        if not await self._redis.run_script(_CHECK_INDEX_COMPLETE, [self._all], [_COMPLETE]):
            try:
                await self._completed()
            except Unavailable as error:  # a full Redis takes no index, but its conversations can be read and deleted
                drop_tracebacks(error)
        name = self._all if everybody else self._owner_set(owner)
        until = "+inf" if after is None else round(after.used * 1000)
        entries: list[IndexEntry] = []
        start = 0
        while len(entries) < limit:
            page = await self._redis.execute(
                lambda client, start=start: client.zrevrangebyscore(  # type: ignore[misc]
                    name, until, "-inf", start=start, num=limit + 1, withscores=True
                )
            )
            entries += [entry for member, score in page if (entry := _entry_after(member, score, after)) is not None]
            start += len(page)
            if len(page) <= limit:
                break
        return entries[:limit]

    async def close(self) -> None:
        """End the scan that runs."""
        if self._scan is not None:
            self._scan.cancel()
            await asyncio.wait({self._scan})

    async def _completed(self) -> None:
        """Wait for the scan, which goes on if its readers leave. Raises Unavailable."""
        scan = self._scan
        if scan is None:
            scan = self._scan = asyncio.create_task(self._complete(), name="scan Redis for conversations")
            scan.add_done_callback(self._end_scan)
        await asyncio.shield(scan)

    def _end_scan(self, scan: "asyncio.Task[None]") -> None:
        self._scan = None
        if not scan.cancelled():
            scan.exception()  # its readers raise it, if any are left

    async def _complete(self) -> None:
        """Add all conversations that a scan of every node finds."""
        pattern = f"{_escape_pattern(self._prefix)}:{{session:*}}:facts"
        for node in await self._redis.execute(_nodes):
            cursor = None
            while cursor != 0:
                step = functools.partial(_scan_step, node=node, cursor=cursor or 0, pattern=pattern)
                cursor, names = await self._redis.execute(step)
                if names:
                    await self._add(names)
        await self._redis.run_script(_MARK_INDEX_COMPLETE, [self._all], [_COMPLETE, _SCAN_INTERVAL, self._retention_ms])

    async def _add(self, names: list[bytes]) -> None:
        """Add the conversations with these keys of facts."""
        puts = [
            self.put(key, int(used))
            for printed, used in await self._redis.execute(functools.partial(_read_uses, names=names))
            if printed is not None and used is not None and used.isdigit()
            if (key := parse_session_key(printed.decode("utf-8", "replace"))) is not None
        ]
        if puts:
            await self._redis.run_scripts(*puts)

    def _owner_set(self, owner: str | None) -> str:
        name = "owner" if owner is None else f"user:{owner}"
        return f"{self._prefix}:{{sessions}}:{hashlib.sha256(name.encode()).hexdigest()[:40]}"


async def _nodes(client: Client) -> list[Any]:
    """The nodes to scan: each primary of a cluster, else [None] for the only server."""
    if not isinstance(client, RedisCluster):
        return [None]
    await client.initialize()
    return client.get_primaries()


async def _scan_step(client: Client, *, node: Any, cursor: int, pattern: str) -> tuple[int, list[bytes]]:
    target = {} if node is None else {"target_nodes": node}
    result: Any = await client.scan(cursor, match=pattern, count=_SCAN_COUNT, **target)
    next_cursor, names = result  # a cluster returns its cursors by node name
    return next(iter(next_cursor.values())) if isinstance(next_cursor, dict) else next_cursor, names


async def _read_uses(client: Client, *, names: list[bytes]) -> list[tuple[bytes | None, bytes | None]]:
    """The printed session key and the time of the last use (ms) in each of these facts."""
    if isinstance(client, RedisCluster):  # each of them may belong to another node
        return [await client.hmget(name, "key", "updated") for name in names]  # type: ignore[misc]
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hmget(name, "key", "updated")
        return await pipeline.execute()


def _entry_after(member: bytes, score: float, after: Cursor | None) -> IndexEntry | None:
    """The entry, None if it is not after the cursor. Redis sorts members of equal score by key, in reverse here."""
    printed = member.decode("utf-8", "replace")
    key = parse_session_key(printed)
    cursor = Cursor(score / 1000, printed)
    if key is None or (after is not None and (cursor.used, printed.encode()) >= (after.used, after.key.encode())):
        return None
    return IndexEntry(key, cursor)


def _escape_pattern(prefix: str) -> str:
    """The prefix with the special characters of Redis patterns escaped."""
    return "".join(f"\\{one}" if one in "*?[]^\\" else one for one in prefix)
