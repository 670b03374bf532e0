"""Events in the SQLite database, which is a file or in memory."""

import sqlite3
import time
from collections.abc import Callable, Sequence

from gateway.state.events.lease_watch import LeaseWatch
from gateway.state.events.store import PAGE, PAGE_BYTES, EventPage, EventPolicy, LeaseState
from gateway.state.sqlite import Database

_ENDED = "ended"  # the state of a run whose worker has released the lease
_SKEW = 1.0  # seconds that a lease may end later than one that begins now: beyond that the clock went back


class SqliteEvents:
    """See EventLog. `clock` gives Unix time in seconds, `monotonic` counts seconds."""

    def __init__(
        self,
        database: Database,
        policy: EventPolicy,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock
        self._watch = LeaseWatch(policy.grace, monotonic)
        self._own: set[str] = set()  # the runs of this process, which no clock expires

    async def begin(self, name: str) -> None:
        """See EventLog. Also deletes the expired runs."""
        now = self._clock()
        until, expired = now + self._policy.lease, now - self._policy.retention
        self._own.add(name)
        own = tuple(self._own)

        def work(connection: sqlite3.Connection) -> None:
            for (other,) in connection.execute(
                "SELECT name FROM background_runs WHERE until < ?", (expired,)
            ).fetchall():
                if other not in own:
                    connection.execute("DELETE FROM background_runs WHERE name = ?", (other,))
            connection.execute("INSERT OR REPLACE INTO background_runs VALUES (?, ?, 'held')", (name, until))

        await self._database.write(work)

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> LeaseState:
        """See EventLog."""
        now = self._clock()
        until = now if last else now + self._policy.lease

        def work(connection: sqlite3.Connection) -> LeaseState:
            state = self._lease_state(connection, name, now)
            if state == "lost":
                state = _restore_expired_lease(connection, name, number, events)
                if state == "lost":
                    return state
            rows = ((name, number + index, event) for index, event in enumerate(events))
            connection.executemany("INSERT OR IGNORE INTO background_events VALUES (?, ?, ?)", rows)
            connection.execute("UPDATE background_runs SET until = ? WHERE name = ?", (until, name))
            if last:
                connection.execute("UPDATE background_runs SET standing = ? WHERE name = ?", (_ENDED, name))
            return state

        state = await self._database.write(work)
        if last or state == "lost":
            self._own.discard(name)
        return state

    async def read(self, name: str, number: int) -> EventPage:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> tuple[tuple[bytes, ...], str | None, LeaseState]:
            start = number if number >= 0 else _count(connection, name) + number
            rows = connection.execute(
                "SELECT event FROM background_events WHERE name = ? AND number >= ? ORDER BY number LIMIT ?",
                (name, start, PAGE),
            )
            return _page(rows), _stored_state(connection, name), self._lease_state(connection, name, now)

        events, stored, state = await self._database.read(work)
        if stored is None or stored == _ENDED:
            self._watch.forget(name)
            return EventPage(events, held=False)
        return EventPage(events, self._watch.is_held(name, lease_is_valid=state != "lost"))

    async def cancel(self, name: str) -> None:
        """See EventLog."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE background_runs SET standing = 'cancelled' WHERE name = ? AND standing = 'held'", (name,)
            )
        )

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """See EventLog."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> bool:
            if self._lease_state(connection, name, now) != "lost" or _count(connection, name) != number:
                return False
            # The run's row may be deleted. Without a row, nothing would delete this event later.
            connection.execute("INSERT OR IGNORE INTO background_runs VALUES (?, ?, 'held')", (name, now))
            connection.execute("UPDATE background_runs SET standing = ?, until = ? WHERE name = ?", (_ENDED, now, name))
            connection.execute("INSERT INTO background_events VALUES (?, ?, ?)", (name, number, event))
            return True

        finished = await self._database.write(work)
        if finished:
            self._watch.forget(name)
        return finished

    async def delete(self, name: str) -> None:
        """See EventLog."""
        self._own.discard(name)
        self._watch.forget(name)
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM background_runs WHERE name = ?", (name,))
        )

    def _lease_state(self, connection: sqlite3.Connection, name: str, now: float) -> LeaseState:
        row = connection.execute(
            "SELECT standing FROM background_runs WHERE name = ? AND until > ? AND until <= ? AND standing != ?",
            (name, now, now + self._policy.lease + _SKEW, _ENDED),
        ).fetchone()
        state: LeaseState = "lost" if row is None else row[0]
        return state


def _page(rows: sqlite3.Cursor) -> tuple[bytes, ...]:
    """The events of the rows, up to the one that fills a page."""
    events: list[bytes] = []
    size = 0
    for (event,) in rows:
        events.append(event)
        size += len(event)
        if size >= PAGE_BYTES:
            break
    rows.close()
    return tuple(events)


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
    match _stored_state(connection, name):
        case "cancelled":
            return "cancelled"
        case "held":
            return "held"
        case "ended" if added > 0:  # by the earlier attempt, which released the lease
            return "held"
        case _:
            return "lost"


def _stored_state(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT standing FROM background_runs WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _count(connection: sqlite3.Connection, name: str) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM background_events WHERE name = ?", (name,)).fetchone()
    return int(count)
