"""Events in the SQLite database, which is a file or in memory."""

import sqlite3
from collections.abc import Callable, Sequence

from gateway.state.events.store import PAGE, EventPage, EventPolicy, LeaseState
from gateway.state.sqlite import Database


class SqliteEvents:
    """See EventLog. `clock` gives Unix time in seconds."""

    def __init__(self, database: Database, policy: EventPolicy, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock

    async def begin(self, name: str) -> None:
        """See EventLog. Also deletes the expired runs."""
        now = self._clock()
        until, expired = now + self._policy.lease, now - self._policy.retention

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM background_runs WHERE until < ?", (expired,))
            connection.execute("INSERT OR REPLACE INTO background_runs VALUES (?, ?, 'held')", (name, until))

        await self._database.write(work)

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> LeaseState:
        """See EventLog."""
        now = self._clock()
        until = now if last else now + self._policy.lease

        def work(connection: sqlite3.Connection) -> LeaseState:
            state = _lease_state(connection, name, now)
            if state == "lost":
                state = _restore_expired_lease(connection, name, number, events)
                if state == "lost":
                    return state
            rows = ((name, number + index, event) for index, event in enumerate(events))
            connection.executemany("INSERT OR IGNORE INTO background_events VALUES (?, ?, ?)", rows)
            connection.execute("UPDATE background_runs SET until = ? WHERE name = ?", (until, name))
            return state

        return await self._database.write(work)

    async def read(self, name: str, number: int) -> EventPage:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> EventPage:
            start = number if number >= 0 else _count(connection, name) + number
            rows = connection.execute(
                "SELECT event FROM background_events WHERE name = ? AND number >= ? ORDER BY number LIMIT ?",
                (name, start, PAGE),
            )
            return EventPage(tuple(event for (event,) in rows), _lease_state(connection, name, now) != "lost")

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
            if _lease_state(connection, name, now) != "lost" or _count(connection, name) != number:
                return False
            # The run's row may be deleted. Without a row, nothing would delete this event later.
            connection.execute("INSERT OR IGNORE INTO background_runs VALUES (?, ?, 'held')", (name, now))
            connection.execute("INSERT INTO background_events VALUES (?, ?, ?)", (name, number, event))
            return True

        return await self._database.write(work)

    async def delete(self, name: str) -> None:
        """See EventLog."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM background_runs WHERE name = ?", (name,))
        )


def _lease_state(connection: sqlite3.Connection, name: str, now: float) -> LeaseState:
    row = connection.execute(
        "SELECT standing FROM background_runs WHERE name = ? AND until > ?", (name, now)
    ).fetchone()
    state: LeaseState = "lost" if row is None else row[0]
    return state


def _restore_expired_lease(
    connection: sqlite3.Connection, name: str, number: int, events: Sequence[bytes]
) -> LeaseState:
    """The state of an expired lease: the state before it expired, unless another instance has ended the run."""
    added = _count(connection, name) - number  # by an earlier attempt of the same call
    if added < 0 or added > len(events):
        return "lost"
    if added > 0:
        (last,) = connection.execute(
            "SELECT event FROM background_events WHERE name = ? ORDER BY number DESC LIMIT 1", (name,)
        ).fetchone()
        if last != events[added - 1]:
            return "lost"
    return _lease_state(connection, name, 0.0)


def _count(connection: sqlite3.Connection, name: str) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM background_events WHERE name = ?", (name,)).fetchone()
    return int(count)
