"""Released locks as files, for the other gateways that have the same state directory.

Processes and containers of one machine share no memory, but a directory; a process that ends leaves its files.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.jsonio import InvalidJSON, dumps, loads

_NAME = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES = 2_000  # of a file; a key has at most 256
_MAX_FILES = 1_000  # in one look; an operator writes them one by one


@dataclass(frozen=True, slots=True)
class Release:
    """A key of the limiter, and how many seconds ago an operator has released it."""

    key: str
    age: float


class ReleaseSpool:
    """One file for each key: `{"key", "time"}`, the time in seconds of the system clock. Files older than `max_age`
    seconds are removed, because no lock from before them can last. All methods block.
    """

    def __init__(self, directory: Path, *, max_age: float, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self.max_age = max_age
        self._clock = clock
        self._read: dict[str, float] = {}  # name of a file → its time, if it was returned

    def write(self, key: str) -> None:
        """Write that `key` is released now. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        new = self._directory / f".{name}"
        new.touch(mode=0o600)
        new.write_bytes(dumps({"key": key, "time": self._clock()}))
        with suppress(FileNotFoundError):  # another process has just released the same key
            new.replace(self._directory / name)

    def read(self) -> list[Release]:
        """The releases that were not returned before. Removes files that are too old or have no release in them."""
        now, known, releases = self._clock(), self._read, []
        self._read = {}
        for file in self._files():
            entry = _entry(file)
            if entry is None or abs(now - entry[1]) > self.max_age:
                with suppress(OSError):
                    file.unlink()
                continue
            key, written = entry
            if written > now:
                continue  # the system clock was set back
            self._read[file.name] = written
            if known.get(file.name) != written:
                releases.append(Release(key, now - written))
        return releases

    def _files(self) -> list[Path]:
        try:
            with os.scandir(self._directory) as entries:
                names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
        except OSError:
            return []
        return [self._directory / name for name in names[:_MAX_FILES]]


def _entry(file: Path) -> tuple[str, float] | None:
    """What a file says; None for one that says nothing."""
    try:
        with file.open("rb") as stored:
            content: Any = loads(stored.read(_MAX_BYTES))
        key, written = content["key"], content["time"]
        return (key, float(written)) if isinstance(key, str) and isinstance(written, int | float) else None
    except (OSError, InvalidJSON, KeyError, TypeError, OverflowError):
        return None
