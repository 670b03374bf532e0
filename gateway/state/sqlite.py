"""One SQLite file and one thread that uses it, so the event loop never waits for the disk.

The thread runs all waiting jobs in one transaction and returns their results after the commit reaches the disk: data
survives a power cut once the caller has a result. The first job creates the file and the thread. If the file is deleted
or replaced meanwhile, the thread opens the one that is there: what it wrote to the other one would be lost.
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

import structlog

from gateway.core.errors import Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.state.health import StoreHealth
from gateway.state.inspection import APPLICATION_ID, foreign, problem_of
from gateway.state.stale_log import log_of, stale_log

log = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_MAX_JOBS_PER_TRANSACTION = 64
_MAX_IDLE_WAL = 4 * 2**20  # bytes; a larger write-ahead log is truncated when it starts over
_TRANSIENT = ("locked", "busy", "full")
_WRITE, _READ = "write", "read"
_BUSY_TIMEOUT = 5.0  # seconds to wait for another process, such as the `agent` command


class _Job(NamedTuple):
    work: Work[Any]
    result: "asyncio.Future[Any]"
    writes: bool


class Database:
    """The database in the file `path`, or in memory for None.

    `migrations` are lists of statements. The file stores how many of them it has applied. `busy_timeout` is how long a
    transaction waits for another process that locks the file (seconds). `health` says whether its uses succeed.
    """

    def __init__(
        self, path: Path | None, migrations: Sequence[Sequence[str]], *, busy_timeout: float = _BUSY_TIMEOUT
    ) -> None:
        self.health = StoreHealth()
        self._path = path
        self._busy_timeout = busy_timeout
        self._migrations = migrations
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open_file: tuple[int, int] | None = None
        self._open_log: tuple[int, int] | None = None  # the write-ahead log of that file
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether there may be data: the file is there, or this process has used the database."""
        return self._thread is not None or (self._path is not None and self._path.exists())

    async def read(self, work: Work[T]) -> T:
        """Run `work` in the thread and return its result. Raises Unavailable when the database can't be used."""
        return await self._put(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """The same for work that changes data. It is atomic, and runs even if the caller is cancelled."""
        return await self._put(work, writes=True)

    async def inspect(self) -> None:
        """Look at the file without changing anything, and update `health`."""
        if self._path is None:
            return
        problem = await asyncio.to_thread(problem_of, self._path, self._migrations)
        if problem is not None:
            self.health.failed(_WRITE, problem)

    async def close(self) -> None:
        """Finish the waiting jobs and close the file. The database refuses later jobs."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    async def _put(self, work: Work[T], *, writes: bool) -> T:
        if self._closed:
            raise Unavailable("The gateway is stopping; its database is closed. Try again.")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._serve, name="sqlite", daemon=True)
            self._thread.start()
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, result, writes))
        return await result

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        closing = False
        while not closing:
            batch = [self._jobs.get()]
            with suppress(queue.Empty):
                while len(batch) < _MAX_JOBS_PER_TRANSACTION:
                    batch.append(self._jobs.get_nowait())
            closing = batch[-1] is None
            jobs = [job for job in batch if job is not None]
            try:
                if connection is not None and jobs and self._is_replaced():
                    log.warning("The database file was deleted or replaced while it was open", path=str(self._path))
                    connection.close()
                    connection = None
                    self._drop_log()
                if connection is None and jobs:
                    connection = self._open()
                outcomes = [] if connection is None else _run_jobs(connection, jobs)
            except (sqlite3.Error, OSError, Unavailable) as error:
                drop_tracebacks(error)
                outcomes = [_unavailable(error) for _ in jobs]
            self._report(jobs, outcomes)
            self._deliver(jobs, outcomes)
        if connection is not None:
            connection.close()

    def _report(self, jobs: list[_Job], outcomes: Sequence[Any]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Unavailable):
                self.health.failed(_WRITE if job.writes else _READ, outcome.message)
            elif job.writes:
                self.health.succeeded(_WRITE, _READ)
            else:
                self.health.succeeded(_READ)

    def _deliver(self, jobs: list[_Job], outcomes: Sequence[Any]) -> None:
        def settle() -> None:
            for job, outcome in zip(jobs, outcomes, strict=True):
                if job.result.done():
                    continue
                if isinstance(outcome, BaseException):
                    job.result.set_exception(outcome)
                else:
                    job.result.set_result(outcome)

        if jobs and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)  # other users must not read conversations
            self._open_file = _identity(os.fstat(file))
            os.close(file)
            if self._open_log is None and (problem := stale_log(self._path)) is not None:
                raise Unavailable(f"The gateway's database can't be used. {problem}.")
        connection = sqlite3.connect(self._path or ":memory:", timeout=self._busy_timeout, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_MAX_IDLE_WAL}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._migrate(connection)
            self._open_log = self._log_identity()
        except BaseException:
            connection.close()
            raise
        return connection

    def _log_identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            return _identity(log_of(self._path).stat())
        except FileNotFoundError:
            return None

    def _drop_log(self) -> None:
        """Delete the log of the file that was replaced: SQLite would write its pages into the new file."""
        log_file = self._log_identity()
        if self._path is not None and log_file is not None and log_file == self._open_log:
            log_of(self._path).unlink()

    def _is_replaced(self) -> bool:
        """Whether the file that is open is not at its path any more. Raises OSError."""
        if self._path is None:
            return False
        try:
            return _identity(self._path.stat()) != self._open_file
        except FileNotFoundError:
            return True

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        if foreign(connection, self._migrations):
            raise Unavailable("The gateway's database file belongs to another program. Move it away.")
        (applied,) = connection.execute("PRAGMA user_version").fetchone()
        if applied > len(self._migrations):
            raise Unavailable(
                f"A newer version wrote the gateway's database (schema {applied}; this version knows "
                f"{len(self._migrations)}). Run the newer version, or move the file away."
            )
        for statements in self._migrations[applied:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino


def _run_jobs(connection: sqlite3.Connection, jobs: list[_Job]) -> list[Any]:
    """Each job's result or exception. If the database can't be written (a full disk, another process), reads still
    succeed.
    """
    try:
        return _transaction(connection, jobs)
    except (sqlite3.Error, OSError) as error:
        if not any(job.writes for job in jobs):
            raise
        unavailable = _unavailable(error)
    reads = iter(_transaction(connection, [job for job in jobs if not job.writes]))
    return [unavailable if job.writes else next(reads) for job in jobs]


def _transaction(connection: sqlite3.Connection, jobs: list[_Job]) -> list[Any]:
    """Each job's result or exception. An exception undoes its own job only."""
    connection.execute("BEGIN IMMEDIATE" if any(job.writes for job in jobs) else "BEGIN")
    try:
        outcomes = [_run_job(connection, job.work) for job in jobs]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _run_job(connection: sqlite3.Connection, work: Work[Any]) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        outcome = work(connection)
    except Exception as error:  # `_deliver` raises it at the caller of this job
        if not connection.in_transaction:
            raise  # SQLite has undone the whole transaction
        connection.execute("ROLLBACK TO job")
        outcome = _unavailable(error) if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE job")
    return outcome


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    reason = error.strerror if isinstance(error, OSError) else error  # clients must not see paths
    hint = " Try again." if any(word in str(reason) for word in _TRANSIENT) else ""
    return Unavailable(f"The gateway's database is not available ({type(error).__name__}: {reason}).{hint}")
