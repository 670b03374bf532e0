"""Events in the SQLite file, or in memory when the database is."""

import sqlite3
from collections.abc import Callable, Sequence

from gateway.state.events.store import PAGE, EventPolicy, Standing, Told
from gateway.state.sqlite import Database


class SqliteEvents:
    """See EventLog. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: EventPolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock

    async def begin(self, name: str) -> None:
        """See EventLog. What has had its time goes now."""
        now = self._clock()
        until, forgotten = now + self._policy.lease, now - self._policy.keep

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM background_runs WHERE until < ?", (forgotten,))
            connection.execute("INSERT OR REPLACE INTO background_runs VALUES (?, ?, 'held')", (name, until))

        await self._database.write(work)

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> Standing:
        """See EventLog."""
        now = self._clock()
        until = now if last else now + self._policy.lease

        def work(connection: sqlite3.Connection) -> Standing:
            standing = _standing(connection, name, now)
            if standing == "lost":
                standing = _taken_up_again(connection, name, number, events)
                if standing == "lost":
                    return standing
            rows = ((name, number + index, event) for index, event in enumerate(events))
            connection.executemany("INSERT OR IGNORE INTO background_events VALUES (?, ?, ?)", rows)
            connection.execute("UPDATE background_runs SET until = ? WHERE name = ?", (until, name))
            return standing

        return await self._database.write(work)

    async def read(self, name: str, number: int) -> Told:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> Told:
            start = number if number >= 0 else _count(connection, name) + number
            found = connection.execute(
                "SELECT event FROM background_events WHERE name = ? AND number >= ? ORDER BY number LIMIT ?",
                (name, start, PAGE),
            )
            return Told(tuple(event for (event,) in found), _standing(connection, name, now) != "lost")

        return await self._database.read(work)

    async def cancel(self, name: str) -> None:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE background_runs SET standing = 'cancelled' WHERE name = ? AND until > ?", (name, now)
            )

        await self._database.write(work)

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> bool:
            if _standing(connection, name, now) != "lost" or _count(connection, name) != number:
                return False
            # The run's row may be gone; its events would have nothing to go with later.
            connection.execute("INSERT OR IGNORE INTO background_runs VALUES (?, ?, 'held')", (name, now))
            connection.execute("INSERT INTO background_events VALUES (?, ?, ?)", (name, number, event))
            return True

        return await self._database.write(work)


def _standing(connection: sqlite3.Connection, name: str, now: float) -> Standing:
    found = connection.execute(
        "SELECT standing FROM background_runs WHERE name = ? AND until > ?", (name, now)
    ).fetchone()
    standing: Standing = "lost" if found is None else found[0]
    return standing


def _taken_up_again(connection: sqlite3.Connection, name: str, number: int, events: Sequence[bytes]) -> Standing:
    """How a run stands whose lease has run out: as before, unless others have ended it."""
    known = _count(connection, name) - number
    if known < 0 or known > len(events):
        return "lost"
    if known > 0:
        (last,) = connection.execute(
            "SELECT event FROM background_events WHERE name = ? ORDER BY number DESC LIMIT 1", (name,)
        ).fetchone()
        if last != events[known - 1]:
            return "lost"
    return _standing(connection, name, 0.0)


def _count(connection: sqlite3.Connection, name: str) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM background_events WHERE name = ?", (name,)).fetchone()
    return int(count)
