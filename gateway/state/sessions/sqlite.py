"""Conversations in the SQLite file, or in memory when the database is.

The lease is this process's alone. What fences it off from another process on the same file, such as the `agent`
command, is the last entry that was there when the lease was given: an entry is only ever added after that one.
"""

import sqlite3
from collections.abc import Callable

from gateway.core.session_key import SessionKey, parse_session_key
from gateway.state.sessions.keyed_queue import KeyedQueue
from gateway.state.sessions.store import Lease, Listing, Place, SessionChanged, SessionFacts, SessionPolicy
from gateway.state.sqlite import Database

_SWEEP = 600.0  # seconds between looks for what has had its time
_LONGEST_RUN = 86_400.0  # seconds; a conversation that a run is at work on is not swept away under it
_ENTRIES = "SELECT e.id, e.entry FROM sessions s JOIN entries e ON e.session = s.id WHERE s.key = ? AND s.updated > ?"


class SqliteSessions:
    """See SessionStore. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: SessionPolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._turnstile = KeyedQueue()
        self._held: set[Lease] = set()
        self._swept = 0.0

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """See SessionStore."""
        await self._turnstile.enter(key, wait)
        try:
            rows = await self._rows(key)
        except BaseException:
            self._turnstile.leave(key)
            raise
        lease = Lease(key, str(rows[-1][0]) if rows else "", tuple(entry for _, entry in rows))
        self._held.add(lease)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """See SessionStore. A lease of this process does not end by itself."""
        if lease not in self._held:
            return False
        since = self._clock() - self._policy.ttl
        _, last = await self._database.read(lambda connection: _seen(connection, lease, since))
        return last == lease.token

    async def append(self, lease: Lease, entry: bytes) -> None:
        """See SessionStore."""
        now = self._clock()
        try:
            if not await self._database.write(lambda connection: self._add(connection, lease, entry, now)):
                raise SessionChanged
        finally:
            self._let_go(lease)

    async def release(self, lease: Lease) -> None:
        """See SessionStore."""
        self._let_go(lease)

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """See SessionStore."""
        since = self._clock() - self._policy.ttl

        def work(connection: sqlite3.Connection) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
            found = connection.execute(f"{_FACTS} WHERE key = ? AND updated > ?", (str(key), since)).fetchone()
            if found is None:
                return None
            rows = connection.execute(f"{_ENTRIES} ORDER BY e.id", (str(key), since))
            return _facts(found), tuple(entry for _, entry in rows)

        return await self._database.read(work)

    async def delete(self, key: SessionKey) -> bool:
        """See SessionStore."""
        since = self._clock() - self._policy.ttl

        def work(connection: sqlite3.Connection) -> bool:
            gone = connection.execute("DELETE FROM sessions WHERE key = ? RETURNING updated", (str(key),)).fetchall()
            return bool(gone) and gone[0][0] > since

        return await self._database.write(work)

    async def listed(self, owner: str | None, *, everybody: bool, most: int, after: Place | None = None) -> Listing:
        """See SessionStore."""
        since = self._clock() - self._policy.ttl
        query, values = f"{_FACTS} WHERE updated > ?", list[object]((since,))
        if not everybody:
            query, values = f"{query} AND owner IS ?", [*values, owner]
        if after is not None:
            query, values = f"{query} AND (updated, key) < (?, ?)", [*values, after.used, after.key]
        query = f"{query} ORDER BY updated DESC, key DESC LIMIT ?"
        rows = await self._database.read(lambda connection: connection.execute(query, (*values, most)).fetchall())
        found = tuple(map(_facts, rows))
        return Listing(found, Place(found[-1].updated, str(found[-1].key)) if len(found) == most else None)

    async def _rows(self, key: SessionKey) -> list[tuple[int, bytes]]:
        since = self._clock() - self._policy.ttl
        return await self._database.read(
            lambda connection: connection.execute(f"{_ENTRIES} ORDER BY e.id", (str(key), since)).fetchall()
        )

    def _add(self, connection: sqlite3.Connection, lease: Lease, entry: bytes, now: float) -> bool:
        if now - self._swept >= _SWEEP:
            self._swept = now
            connection.execute("DELETE FROM sessions WHERE updated <= ?", (now - self._policy.ttl - _LONGEST_RUN,))
        key = lease.key
        session, last = _seen(connection, lease, now - self._policy.ttl)
        if last != lease.token:
            return False
        if session is not None and not last:
            connection.execute("DELETE FROM sessions WHERE id = ?", (session,))
            session = None
        if session is None:
            session = connection.execute(
                "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, 0, 0)", (str(key), key.owner, key.agent, now, now)
            ).lastrowid
        connection.execute("INSERT INTO entries (session, entry) VALUES (?, ?)", (session, entry))
        self._compact(connection, session, now)
        return True

    def _compact(self, connection: sqlite3.Connection, session: int | None, now: float) -> None:
        """Drop the oldest entries that are beyond the limit, and bring the session's facts up to date."""
        connection.execute(
            """
            DELETE FROM entries WHERE session = :session AND id < (SELECT MAX(id) FROM entries WHERE session = :session)
            AND id IN (
                SELECT id FROM (
                    SELECT id, SUM(LENGTH(entry)) OVER (ORDER BY id DESC) AS so_far FROM entries
                    WHERE session = :session
                ) WHERE so_far > :most
            )
            """,
            {"session": session, "most": self._policy.max_bytes},
        )
        connection.execute(
            """
            UPDATE sessions SET updated = :now,
                (bytes, entries) = (SELECT SUM(LENGTH(entry)), COUNT(*) FROM entries WHERE session = :session)
            WHERE id = :session
            """,
            {"session": session, "now": now},
        )

    def _let_go(self, lease: Lease) -> None:
        if lease in self._held:
            self._held.remove(lease)
            self._turnstile.leave(lease.key)


_FACTS = "SELECT key, created, updated, bytes, entries FROM sessions"


def _seen(connection: sqlite3.Connection, lease: Lease, since: float) -> tuple[int | None, str]:
    """The session's id, None when there is none, and what is now in the place of the lease's token."""
    query = "SELECT id, updated, (SELECT MAX(id) FROM entries WHERE session = s.id) FROM sessions s WHERE key = ?"
    session, updated, last = connection.execute(query, (str(lease.key),)).fetchone() or (None, 0.0, "")
    forgotten = not lease.token and updated <= since  # only not yet swept up
    return session, "" if forgotten else str(last)


def _facts(row: tuple[str, float, float, int, int]) -> SessionFacts:
    key = parse_session_key(row[0])
    if key is None:
        raise AssertionError("a stored key is a printed one")
    return SessionFacts(key, *row[1:])
