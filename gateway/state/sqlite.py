"""One SQLite file and the one thread that works on it, so that the event loop never waits for a disk.

Work that is ready together is one transaction, and is answered when it is on the disk: what was acknowledged survives a
power cut. The file and the thread come with the first work, so who keeps nothing has neither.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gateway.core.errors import Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_MOST_TOGETHER = 64  # pieces of work in one transaction
_BUSY = 5.0  # seconds for another process, such as the `agent` command, to finish its own


class _Piece(NamedTuple):
    work: Work[Any]
    answer: "asyncio.Future[Any]"
    writes: bool


class Database:
    """The database in the file `path`, or in memory for None.

    `migrations` are lists of statements; the file remembers how many of them it has seen. `busy` is how long
    another process that holds the file is waited for (seconds).
    """

    def __init__(self, path: Path | None, migrations: Sequence[Sequence[str]], *, busy: float = _BUSY) -> None:
        self._path = path
        self._busy = busy
        self._migrations = migrations
        self._waiting: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """What `work` returns, called in the thread. Raises Unavailable when the database can't be used."""
        return await self._put(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """The same for work that changes something; it is all or nothing. Done even if the caller is cancelled."""
        return await self._put(work, writes=True)

    async def close(self) -> None:
        """Finish what is waiting, and close the file for good."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            await asyncio.to_thread(thread.join)

    async def _put(self, work: Work[T], *, writes: bool) -> T:
        if self._closed:
            raise Unavailable("The gateway is stopping; its database is closed. Try again.")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._serve, name="sqlite", daemon=True)
            self._thread.start()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Piece(work, answer, writes))
        return await answer

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            pieces = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(pieces) < _MOST_TOGETHER:
                    pieces.append(self._waiting.get_nowait())
            ending = pieces[-1] is None
            todo = [piece for piece in pieces if piece is not None]
            try:
                if connection is None and todo:
                    connection = self._open()
                outcomes = [] if connection is None else _outcomes(connection, todo)
            except (sqlite3.Error, OSError, Unavailable) as error:
                outcomes = [_refusal(error)] * len(todo)
            self._tell(todo, outcomes)
        if connection is not None:
            connection.close()

    def _tell(self, pieces: list[_Piece], outcomes: Sequence[Any]) -> None:
        def settle() -> None:
            for piece, outcome in zip(pieces, outcomes, strict=True):
                if piece.answer.done():
                    continue
                if isinstance(outcome, BaseException):
                    piece.answer.set_exception(outcome)
                else:
                    piece.answer.set_result(outcome)

        if pieces and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # nobody else reads conversations
        connection = sqlite3.connect(self._path or ":memory:", timeout=self._busy, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (seen,) = connection.execute("PRAGMA user_version").fetchone()
        if seen > len(self._migrations):
            raise Unavailable(
                f"The gateway's database was written by a newer version (schema {seen}, known are "
                f"{len(self._migrations)}). Run that version, or move the file away."
            )
        for statements in self._migrations[seen:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute("COMMIT")


def _outcomes(connection: sqlite3.Connection, pieces: list[_Piece]) -> list[Any]:
    """Each piece's result or exception. What keeps others from writing (a full disk, another process) keeps no reader
    from reading.
    """
    try:
        return _transaction(connection, pieces)
    except (sqlite3.Error, OSError) as error:
        if not any(piece.writes for piece in pieces):
            raise
        refusal = _refusal(error)
    reads = iter(_transaction(connection, [piece for piece in pieces if not piece.writes]))
    return [refusal if piece.writes else next(reads) for piece in pieces]


def _transaction(connection: sqlite3.Connection, pieces: list[_Piece]) -> list[Any]:
    """Each piece's result, or its exception, which undoes that piece alone."""
    connection.execute("BEGIN IMMEDIATE" if any(piece.writes for piece in pieces) else "BEGIN")
    try:
        outcomes = [_one(connection, piece.work) for piece in pieces]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _one(connection: sqlite3.Connection, work: Work[Any]) -> Any:
    connection.execute("SAVEPOINT piece")
    try:
        outcome = work(connection)
    except Exception as error:  # it belongs to whoever asked for this piece, and is raised there
        if not connection.in_transaction:
            raise  # SQLite has undone everything, not this piece alone
        connection.execute("ROLLBACK TO piece")
        outcome = _refusal(error) if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE piece")
    return outcome


def _refusal(error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    why = error.strerror if isinstance(error, OSError) else error  # callers are not told paths
    return Unavailable(f"The gateway's database can't be used just now ({type(error).__name__}: {why}). Try again.")
