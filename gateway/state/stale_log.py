"""Whether a write-ahead log belongs to another version of its database file (https://sqlite.org/fileformat2.html#walformat).

A database that is restored from a backup beside the log that a crash has left gets the changes of the old file: SQLite
can't know, and the result is a corrupt database. A log's own file either is older than the log, or has pages of it:
only a checkpoint, which copies them, writes the file after the log. Times are those of the system clock, so a step of
it before a crash may look the same: nothing is deleted, and the message says how to go on in both cases.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_MIN_AGE = 60.0  # seconds between the two files; a backup that has both restores them in any order
_HEADER = struct.Struct(">IIIIIIII")  # magic, version, page size, sequence, two salts, two checksums
_FRAME = struct.Struct(">IIIIII")  # page, size of the database after a commit or 0, two salts, two checksums
_MAGIC = (0x377F0682, 0x377F0683)


def log_of(database: Path) -> Path:
    """The write-ahead log of a database file."""
    return database.with_name(f"{database.name}-wal")


def stale_log(database: Path) -> str | None:
    """What to do about a log that belongs to another version of this file; None if there is none. Changes nothing.

    Raises OSError.
    """
    log = log_of(database)
    try:
        written, logged = database.stat(), log.stat()
    except FileNotFoundError:
        return None
    # A change of owner or mode counts, too: nothing else about a file tells that it was restored with its old times.
    if written.st_ctime - logged.st_ctime < _MIN_AGE or not written.st_size:
        return None
    with database.open("rb") as file, log.open("rb") as frames:
        if not _has_nothing_of(file, frames):
            return None
    return (
        f"{database.name} is newer than its write-ahead log and has none of its pages, as after restoring a backup. "
        f"If it was restored without {log.name}, move {log.name} and {database.name}-shm away; if the log belongs to "
        f"it, run: touch {log.name}"
    )


def _has_nothing_of(database: BinaryIO, log: BinaryIO) -> bool:
    """Whether no page of the database is as the log has it last; False for a log without a whole transaction."""
    head = log.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return False
    magic, _, size, _, *salts = _HEADER.unpack(head)[:6]
    if magic not in _MAGIC or size < 512:
        return False
    last: dict[int, int] = {}  # page → where the log has its last committed content
    pending: dict[int, int] = {}
    while len(frame := log.read(_FRAME.size)) == _FRAME.size:
        page, commit, *own = _FRAME.unpack(frame)[:4]
        if own != salts:
            break  # what follows is of an earlier use of the log
        pending[page] = log.tell()
        log.seek(size, 1)
        if commit:
            last |= pending
            pending.clear()
    return bool(last) and not any(
        _page(log, at, size) == _page(database, (n - 1) * size, size) for n, at in last.items()
    )


def _page(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
