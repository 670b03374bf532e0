"""The ledger in the SQLite database, which is a file or in memory."""

import sqlite3
from collections.abc import AsyncIterator, Callable

from gateway.state.sqlite import Database
from gateway.state.usage.store import Segment, UsagePolicy

_PAGE = 2**20  # bytes of segments that one read returns, and one more segment
_SWEEP_INTERVAL = 600.0  # seconds between deletions of old segments


class SqliteUsage:
    """See UsageStore. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: UsagePolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._swept: float | None = None

    async def append(self, segment: Segment) -> None:
        """See UsageStore."""
        now = self._clock()
        # Not at the start: the clock may be wrong until the machine has asked another one.
        self._swept = now if self._swept is None else self._swept
        sweep = now - self._swept >= _SWEEP_INTERVAL
        if sweep:
            self._swept = now

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO usage_segments (id, time, data) VALUES (?, ?, ?)",
                (segment.id, segment.time, segment.data),
            )
            if sweep:
                self._delete_old(connection, now)

        await self._database.write(work)

    async def read(self, since: float) -> AsyncIterator[list[bytes]]:
        """See UsageStore."""
        since = max(since, self._clock() - self._policy.retention)
        last: tuple[float, str] = (since, "")

        def work(connection: sqlite3.Connection) -> list[tuple[str, float, bytes]]:
            rows: list[tuple[str, float, bytes]] = []
            size = 0
            for row in connection.execute(
                "SELECT id, time, data FROM usage_segments WHERE (time, id) > (?, ?) ORDER BY time, id", last
            ):
                rows.append(row)
                size += len(row[2])
                if size > _PAGE:
                    break
            return rows

        while rows := await self._database.read(work):
            yield [data for _, _, data in rows]
            last = (rows[-1][1], rows[-1][0])

    def _delete_old(self, connection: sqlite3.Connection, now: float) -> None:
        """Delete what is older than the retention, then the oldest segments until the others fit."""
        connection.execute("DELETE FROM usage_segments WHERE time < ?", (now - self._policy.retention,))
        connection.execute(
            """
            DELETE FROM usage_segments WHERE id IN (
                SELECT id FROM (
                    SELECT id, SUM(length(data)) OVER (ORDER BY time DESC, id) AS so_far FROM usage_segments
                ) WHERE so_far > ?
            )
            """,
            (self._policy.max_bytes,),
        )
