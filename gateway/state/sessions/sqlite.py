"""Conversations in the SQLite database, which is a file or in memory.

A lease exists only in this process. Another process on the same file, such as the `agent` command, is fenced off by the
lease's token: the id of the last entry at the time of the lease. A new entry is added only if that id is still last.
"""

import sqlite3
from collections.abc import Callable

from gateway.core.errors import SessionChanged
from gateway.core.session_key import SessionKey, parse_session_key
from gateway.state.sessions.keyed_queue import KeyedQueue
from gateway.state.sessions.store import Cursor, Lease, SessionFacts, SessionPage, SessionPolicy
from gateway.state.sqlite import Database

_SWEEP_INTERVAL = 600.0  # seconds between deletions of expired conversations
_MAX_RUN = 86_400.0  # seconds; an expired conversation stays this long, because a run may still use it
_ENTRIES = "SELECT e.id, e.entry FROM sessions s JOIN entries e ON e.session = s.id WHERE s.key = ? AND s.updated > ?"


class SqliteSessions:
    """See SessionStore. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: SessionPolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self.policy = policy
        self._clock = clock
        self._queue = KeyedQueue()
        self._leases: set[Lease] = set()
        self._swept: float | None = None

    async def acquire(self, key: SessionKey, wait: float) -> Lease:
        """See SessionStore."""
        await self._queue.enter(key, wait)
        try:
            rows = await self._rows(key)
        except BaseException:
            self._queue.leave(key)
            raise
        lease = Lease(key, str(rows[-1][0]) if rows else "", tuple(entry for _, entry in rows))
        self._leases.add(lease)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """See SessionStore. A lease of this process does not expire."""
        if lease not in self._leases:
            return False
        since = self._clock() - self.policy.ttl
        _, last = await self._database.read(lambda connection: _current(connection, lease, since))
        return last == lease.token

    async def append(self, lease: Lease, entry: bytes) -> None:
        """See SessionStore."""
        now = self._clock()
        try:
            if not await self._database.write(lambda connection: self._add(connection, lease, entry, now)):
                raise SessionChanged
        finally:
            self._end(lease)

    async def release(self, lease: Lease) -> None:
        """See SessionStore."""
        self._end(lease)

    async def read(self, key: SessionKey) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
        """See SessionStore."""
        since = self._clock() - self.policy.ttl

        def work(connection: sqlite3.Connection) -> tuple[SessionFacts, tuple[bytes, ...]] | None:
            row = connection.execute(f"{_FACTS} WHERE key = ? AND updated > ?", (str(key), since)).fetchone()
            if row is None:
                return None
            entries = connection.execute(f"{_ENTRIES} ORDER BY e.id", (str(key), since))
            return _facts(row), tuple(entry for _, entry in entries)

        return await self._database.read(work)

    async def delete(self, key: SessionKey) -> bool:
        """See SessionStore."""
        since = self._clock() - self.policy.ttl

        def work(connection: sqlite3.Connection) -> bool:
            rows = connection.execute("DELETE FROM sessions WHERE key = ? RETURNING updated", (str(key),)).fetchall()
            return bool(rows) and rows[0][0] > since

        return await self._database.write(work)

    async def list_sessions(
        self, owner: str | None, *, everybody: bool, limit: int, after: Cursor | None = None
    ) -> SessionPage:
        """See SessionStore."""
        since = self._clock() - self.policy.ttl
        query, values = f"{_FACTS} WHERE updated > ?", list[object]((since,))
        if not everybody:
            query, values = f"{query} AND owner IS ?", [*values, owner]
        if after is not None:
            query, values = f"{query} AND (updated, key) < (?, ?)", [*values, after.used, after.key]
        query = f"{query} ORDER BY updated DESC, key DESC LIMIT ?"
        rows = await self._database.read(lambda connection: connection.execute(query, (*values, limit)).fetchall())
        sessions = tuple(map(_facts, rows))
        last = Cursor(sessions[-1].updated, str(sessions[-1].key)) if len(sessions) == limit else None
        return SessionPage(sessions, last)

    async def _rows(self, key: SessionKey) -> list[tuple[int, bytes]]:
        since = self._clock() - self.policy.ttl
        return await self._database.read(
            lambda connection: connection.execute(f"{_ENTRIES} ORDER BY e.id", (str(key), since)).fetchall()
        )

    def _add(self, connection: sqlite3.Connection, lease: Lease, entry: bytes, now: float) -> bool:
        # Not at the start: the clock may be wrong until the machine has asked another one.
        self._swept = now if self._swept is None else self._swept
        if now - self._swept >= _SWEEP_INTERVAL:
            self._swept = now
            connection.execute("DELETE FROM sessions WHERE updated <= ?", (now - self.policy.ttl - _MAX_RUN,))
        key = lease.key
        session, last = _current(connection, lease, now - self.policy.ttl)
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
        """Delete the oldest entries above the size limit, and update the session's facts."""
        connection.execute(
            """
            DELETE FROM entries WHERE session = :session AND id < (SELECT MAX(id) FROM entries WHERE session = :session)
            AND id IN (
                SELECT id FROM (
                    SELECT id, SUM(LENGTH(entry)) OVER (ORDER BY id DESC) AS so_far FROM entries
                    WHERE session = :session
                ) WHERE so_far > :max_bytes
            )
            """,
            {"session": session, "max_bytes": self.policy.max_bytes},
        )
        connection.execute(
            """
            UPDATE sessions SET updated = :now,
                (bytes, entries) = (SELECT SUM(LENGTH(entry)), COUNT(*) FROM entries WHERE session = :session)
            WHERE id = :session
            """,
            {"session": session, "now": now},
        )

    def _end(self, lease: Lease) -> None:
        if lease in self._leases:
            self._leases.remove(lease)
            self._queue.leave(lease.key)


_FACTS = "SELECT key, created, updated, bytes, entries FROM sessions"


def _current(connection: sqlite3.Connection, lease: Lease, since: float) -> tuple[int | None, str]:
    """The session's id, None when there is none, and the token that a lease would get now."""
    query = "SELECT id, updated, (SELECT MAX(id) FROM entries WHERE session = s.id) FROM sessions s WHERE key = ?"
    session, updated, last = connection.execute(query, (str(lease.key),)).fetchone() or (None, 0.0, "")
    expired = not lease.token and updated <= since  # and not deleted yet
    return session, "" if expired else str(last)


def _facts(row: tuple[str, float, float, int, int]) -> SessionFacts:
    key = parse_session_key(row[0])
    if key is None:
        raise AssertionError("every stored key was printed by SessionKey")
    return SessionFacts(key, *row[1:])
