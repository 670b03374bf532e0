"""Responses in the SQLite database, which is a file or in memory."""

import sqlite3
from collections.abc import Callable

from gateway.state.responses.store import LARGE, Hold, ResponsePolicy, StoredResponse, decoded, encoded
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

    async def get(self, subject: str | None, response_id: str, hold: Hold | None = None) -> StoredResponse | None:
        """See ResponseStore."""
        row = await self._database.read(self._reading(subject, response_id, None if hold is None else LARGE))
        if isinstance(row, int) and hold is not None:
            hold(row)
            row = await self._database.read(self._reading(subject, response_id, None))
        if row is None or isinstance(row, int):
            return None
        return await decoded(response_id, subject, dict(zip(_FIELDS, row, strict=True)))

    def _reading(
        self, subject: str | None, response_id: str, limit: int | None
    ) -> Callable[[sqlite3.Connection], tuple[bytes, ...] | int | None]:
        """Reads the fields, None if there is no response, or the bytes of one that has more than `limit`."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> tuple[bytes, ...] | int | None:
            where = "FROM responses WHERE id = ? AND subject IS ? AND expires > ?"
            key = (response_id, subject, now)
            if limit is not None:
                size = connection.execute(f"SELECT bytes {where}", key).fetchone()
                if size is None or size[0] > limit:
                    return None if size is None else int(size[0])
            row: tuple[bytes, ...] | None = connection.execute(
                f"SELECT facts, body, input, messages {where}", key
            ).fetchone()
            return row

        return work

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
