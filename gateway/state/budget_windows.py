"""What has been used of budgets, in the SQLite database: a process that counts alone goes on where it ended.

Instances that share a Redis count there and need no copy.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.state.sqlite import Database


class BudgetWindow(NamedTuple):
    """A window of a budget, as the limiter library counts it: it began `age` seconds before it was taken."""

    key: str
    width: int
    age: float
    previous: int
    current: int


class BudgetWindows:
    """`clock` gives Unix time in seconds. Raises Unavailable when the database can't be used."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def save(self, windows: Sequence[BudgetWindow]) -> None:
        """Store these windows in place of earlier ones with their keys, and drop those that have faded away."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> None:
            rows = ((*window, now) for window in windows)
            connection.executemany("INSERT OR REPLACE INTO budget_windows VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.execute("DELETE FROM budget_windows WHERE stored - age + 2 * width < ?", (now,))

        await self._database.write(work)

    async def load(self) -> list[tuple[BudgetWindow, float]]:
        """The stored windows, and how many seconds ago each was taken. Does not create a file to find it empty."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> list[tuple[BudgetWindow, float]]:
            rows = connection.execute("SELECT key, width, age, previous, current, stored FROM budget_windows")
            return [(BudgetWindow(*window), max(0.0, now - stored)) for *window, stored in rows]

        return await self._database.read(work) if self._database.exists else []
