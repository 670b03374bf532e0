"""Looks at the SQLite file before its first use, and changes nothing."""

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gateway.state.stale_log import stale_log

APPLICATION_ID = 0x6F636777
"""`ocgw`: the mark of the gateway's files (https://sqlite.org/pragma.html#pragma_application_id)."""
_MIN_FREE = 2**20  # bytes
_TABLE = re.compile(r"CREATE TABLE (\w+)")


def problem_of(path: Path, migrations: Sequence[Sequence[str]]) -> str | None:
    """Why the file can't be used, in a sentence with its path, or None."""
    try:
        return _problem_of(path, migrations)
    except OSError as error:
        return f"{path}: {error.strerror}. The gateway must be able to read and write its state directory."
    except sqlite3.Error as error:
        return f"{path}: {error}. Restore the file from a backup, or move it away."


def foreign(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> bool:
    """Whether another program wrote this database."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application:
        return bool(application != APPLICATION_ID)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return bool(tables) and _first_table(migrations) not in tables  # earlier versions left no mark


def _problem_of(path: Path, migrations: Sequence[Sequence[str]]) -> str | None:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a directory. Move it away, or set OPENCLAW_STATE_DIR."
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"{folder} is not writable for this user. Change its owner or mode, or set OPENCLAW_STATE_DIR."
    space = os.statvfs(folder)
    if space.f_bavail * space.f_frsize < _MIN_FREE:
        return f"{folder} is full. Free some space."
    if not path.exists():
        return None
    if not path.is_file():
        return f"{path} is not a file. Move it away."
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} can't be read and written by this user. Change its owner or mode."
    return _problem_of_database(path, migrations)


def _problem_of_database(path: Path, migrations: Sequence[Sequence[str]]) -> str | None:
    if not path.stat().st_size:
        return None
    # `immutable`: reading must not create a write-ahead log.
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        if foreign(connection, migrations):
            return f"{path} is the database of another program. Move it away, or set OPENCLAW_STATE_DIR."
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        return f"{path} was written by a newer version (schema {version}). Run that version, or move the file away."
    problem = stale_log(path)
    return None if problem is None else f"{path.parent}: {problem}."


def _first_table(migrations: Sequence[Sequence[str]]) -> str:
    for statements in migrations:
        for statement in statements:
            if match := _TABLE.search(statement):
                return match[1]
    raise AssertionError("the migrations create a table")
