"""Responses in the SQLite file, or in memory when the database is."""

import sqlite3
from collections.abc import Callable

from gateway.state.responses.store import ResponsePolicy, StoredResponse, read, written
from gateway.state.sqlite import Database

_FIELDS = ("facts", "body", "input", "messages")
_SWEEP = 600.0  # seconds between looks for what has had its time


class SqliteResponses:
    """See ResponseStore. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: ResponsePolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._swept = 0.0

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """See ResponseStore."""
        fields = written(response)
        size = sum(map(len, fields.values()))
        if size > self._policy.max_bytes:
            return False
        now = self._clock()
        sweep = now - self._swept >= _SWEEP
        if sweep:
            self._swept = now

        def work(connection: sqlite3.Connection) -> None:
            if not new and not _is_there(connection, response, now):
                return
            connection.execute(
                "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (response.id, response.subject, now + self._policy.ttl, size, *(fields[name] for name in _FIELDS)),
            )
            if sweep:
                self._forget(connection, now)

        await self._database.write(work)
        return True

    async def get(self, subject: str | None, response_id: str) -> StoredResponse | None:
        """See ResponseStore."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> tuple[bytes, ...] | None:
            found: tuple[bytes, ...] | None = connection.execute(
                "SELECT facts, body, input, messages FROM responses WHERE id = ? AND subject IS ? AND expires > ?",
                (response_id, subject, now),
            ).fetchone()
            return found

        found = await self._database.read(work)
        if found is None:
            return None
        return read(response_id, subject, dict(zip(_FIELDS, found, strict=True)))

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> bool:
            gone = connection.execute(
                "DELETE FROM responses WHERE id = ? AND subject IS ? AND expires > ?", (response_id, subject, now)
            )
            return gone.rowcount > 0

        return await self._database.write(work)

    def _forget(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute("DELETE FROM responses WHERE expires <= ?", (now,))
        connection.execute(
            """
            DELETE FROM responses WHERE id IN (
                SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY expires DESC, id) AS so_far FROM responses)
                WHERE so_far > ?
            )
            """,
            (self._policy.most_bytes,),
        )


def _is_there(connection: sqlite3.Connection, response: StoredResponse, now: float) -> bool:
    found = connection.execute(
        "SELECT 1 FROM responses WHERE id = ? AND subject IS ? AND expires > ?", (response.id, response.subject, now)
    )
    return found.fetchone() is not None
