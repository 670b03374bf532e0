"""Client keys in the SQLite database, a file or in memory. One process uses it, so its version never changes."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence

from gateway.core.client_key import KeyRecord
from gateway.state.keys.store import MAX_KEYS, TooManyKeys, decode_records, encode_record
from gateway.state.sqlite import Database

_PAGE = 1000  # keys; each page is one read


class SqliteKeys:
    """See KeyStore."""

    def __init__(self, database: Database, *, max_keys: int = MAX_KEYS) -> None:
        self._database = database
        self._max_keys = max_keys

    async def version(self) -> int:
        """See KeyStore. Always 0: no other process changes the keys."""
        return 0

    async def add(self, record: KeyRecord) -> int | None:
        """See KeyStore."""
        row = (record.name, bytes.fromhex(record.digest), encode_record(record))

        def work(connection: sqlite3.Connection) -> int | None:
            if connection.execute("SELECT 1 FROM client_keys WHERE name = ?", row[:1]).fetchone():
                return None
            (count,) = connection.execute("SELECT COUNT(*) FROM client_keys").fetchone()
            if count >= self._max_keys:
                raise TooManyKeys
            connection.execute("INSERT INTO client_keys VALUES (?, ?, ?)", row)
            return 0

        return await self._database.write(work)

    async def remove(self, name: str, digest: str | None = None) -> int | None:
        """See KeyStore."""
        wanted = None if digest is None else bytes.fromhex(digest)

        def work(connection: sqlite3.Connection) -> int | None:
            removed = connection.execute(
                "DELETE FROM client_keys WHERE name = ? AND digest = coalesce(?, digest)", (name, wanted)
            )
            if not removed.rowcount:
                return None
            connection.execute("DELETE FROM client_key_uses WHERE name = ?", (name,))
            return 0

        return await self._database.write(work)

    async def read(self, names: Sequence[str]) -> list[KeyRecord]:
        """See KeyStore."""

        def work(connection: sqlite3.Connection) -> list[KeyRecord]:
            query = "SELECT record FROM client_keys WHERE name = ?"
            return decode_records([row[0] for name in names for row in connection.execute(query, (name,))])

        return await self._database.read(work)

    async def read_all(self) -> AsyncIterator[list[KeyRecord]]:
        """See KeyStore. Does not create a file to find it empty."""
        after = ""

        def work(connection: sqlite3.Connection) -> tuple[str, list[KeyRecord]] | None:
            query = "SELECT name, record FROM client_keys WHERE name > ? ORDER BY name LIMIT ?"
            rows = connection.execute(query, (after, _PAGE)).fetchall()
            return (rows[-1][0], decode_records([record for _, record in rows])) if rows else None

        while self._database.exists and (page := await self._database.read(work)):
            after, records = page
            yield records

    async def mark_used(self, uses: Mapping[str, float]) -> None:
        """See KeyStore."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO client_key_uses VALUES (?, ?)", uses.items())

        await self._database.write(work)

    async def last_used(self, names: Sequence[str]) -> dict[str, float]:
        """See KeyStore."""

        def work(connection: sqlite3.Connection) -> dict[str, float]:
            query = "SELECT name, used FROM client_key_uses WHERE name = ?"
            return dict(row for name in names for row in connection.execute(query, (name,)))

        return await self._database.read(work) if self._database.exists else {}
