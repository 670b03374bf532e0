"""Responses in the SQLite database, which is a file or in memory."""

import sqlite3
from collections.abc import Callable

from gateway.state.responses.store import ResponsePolicy, StoredResponse, decoded, encoded
from gateway.state.sqlite import Database

_FIELDS = ("facts", "body", "input", "messages")
_SWEEP_INTERVAL = 600.0  # seconds between deletions of expired responses


class SqliteResponses:
    """See ResponseStore. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: ResponsePolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._swept: float | None = None

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """See ResponseStore."""
        fields = await encoded(response)
        size = sum(map(len, fields.values()))
        if size > self._policy.max_bytes:
            return False
        now = self._clock()
        # Not at the start: the clock may be wrong until the machine has asked another one.
        self._swept = now if self._swept is None else self._swept
        sweep = now - self._swept >= _SWEEP_INTERVAL
        if sweep:
            self._swept = now

        def work(connection: sqlite3.Connection) -> None:
            if not new and not _exists(connection, response, now):
                return
            connection.execute(
                "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (response.id, response.subject, now + self._policy.ttl, size, *(fields[name] for name in _FIELDS)),
            )
            if sweep:
                self._delete_expired(connection, now)

        await self._database.write(work)
        return True

    async def get(self, subject: str | None, response_id: str) -> StoredResponse | None:
        """See ResponseStore."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> tuple[bytes, ...] | None:
            row: tuple[bytes, ...] | None = connection.execute(
                "SELECT facts, body, input, messages FROM responses WHERE id = ? AND subject IS ? AND expires > ?",
                (response_id, subject, now),
            ).fetchone()
            return row

        row = await self._database.read(work)
        if row is None:
            return None
        return await decoded(response_id, subject, dict(zip(_FIELDS, row, strict=True)))

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> bool:
            deleted = connection.execute(
                "DELETE FROM responses WHERE id = ? AND subject IS ? AND expires > ?", (response_id, subject, now)
            )
            return deleted.rowcount > 0

        return await self._database.write(work)

    def _delete_expired(self, connection: sqlite3.Connection, now: float) -> None:
        """Delete the expired responses, then the oldest ones of the callers with the most until the others fit.

        So a caller who stores a lot displaces nobody who stores less.
        """
        connection.execute("DELETE FROM responses WHERE expires <= ?", (now,))
        connection.execute(
            """
            DELETE FROM responses WHERE id IN (
                SELECT id FROM (
                    SELECT id, SUM(bytes) OVER (ORDER BY own, expires DESC, id) AS so_far FROM (
                        SELECT id, bytes, expires,
                            SUM(bytes) OVER (PARTITION BY subject ORDER BY expires DESC, id) AS own
                        FROM responses
                    )
                ) WHERE so_far > ?
            )
            """,
            (self._policy.max_total_bytes,),
        )


def _exists(connection: sqlite3.Connection, response: StoredResponse, now: float) -> bool:
    row = connection.execute(
        "SELECT 1 FROM responses WHERE id = ? AND subject IS ? AND expires > ?", (response.id, response.subject, now)
    ).fetchone()
    return row is not None
