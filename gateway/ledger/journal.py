"""Counts the pending rows of this process in a file that outlives a kill: the next process reads what was lost.

The file is one page that the process maps into its memory: a count is a store to memory, and the system, which survives
a killed process, has it at once. No request waits for the disk. A power cut may lose the counts of some seconds.
"""

import fcntl
import mmap
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog

log = structlog.get_logger(__name__)

FOLDER = "ledger"
"""The name of the folder in the state directory. Each running process has a file in it."""
_MAGIC = b"OCLEDGE1"
_PAGE = 4096
_COUNTS = struct.Struct("=8sQQ")


class Journal:
    """Counts attempts that began (`begin`) and those whose row is stored or counted as lost (`settle`).

    `recovered` are the rows that killed processes of this folder had not stored: it begins with them, so that they are
    not forgotten if this process is killed, too.
    """

    def __init__(self, file: Path, descriptor: int, recovered: int) -> None:
        self.recovered = recovered
        self._file = file
        self._descriptor = descriptor
        os.write(descriptor, _COUNTS.pack(_MAGIC, recovered, 0).ljust(_PAGE, b"\0"))  # reserves the page: no SIGBUS
        self._map = mmap.mmap(descriptor, _PAGE)
        self._counts = memoryview(self._map).cast("Q")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The journal of this process, and what killed ones had not stored. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"{os.getpid()}-{secrets.token_hex(4)}.journal"
        unlocked = file.with_suffix(".new")  # nobody takes it for that of a killed process
        descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            abandoned = _abandoned(folder)
            journal = cls(file, descriptor, sum(rows for _, _, rows in abandoned))
            unlocked.rename(file)
        except BaseException:
            unlocked.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        for other, lock, _ in abandoned:  # from here on this journal counts them
            other.unlink(missing_ok=True)
            os.close(lock)
        return journal

    def begin(self) -> None:
        """An attempt begins: its row is pending."""
        self._counts[1] += 1

    def settle(self, rows: int) -> None:
        """So many rows are stored, or counted as lost."""
        self._counts[2] += rows

    @property
    def pending(self) -> int:
        """The rows that a kill at this moment would lose."""
        return self._counts[1] - self._counts[2]

    def close(self, unreported: int) -> None:
        """The process ends. `unreported` lost rows, which no stored segment counts, are left to the next one."""
        counts, self._counts = self._counts, memoryview(bytearray(24)).cast("Q")  # a straggler may still count
        counts[1], counts[2] = unreported, 0
        counts.release()
        self._map.close()
        if not unreported:
            self._file.unlink(missing_ok=True)
        os.close(self._descriptor)


def _abandoned(folder: Path) -> list[tuple[Path, int, int]]:
    """The journals of processes that are gone, each with its open and locked file and its pending rows."""
    journals = []
    for file in folder.glob("*.journal"):
        descriptor = None
        with suppress(FileNotFoundError):
            descriptor = os.open(file, os.O_RDWR)
        if descriptor is None:
            continue
        if _is_locked(descriptor) or not os.fstat(descriptor).st_nlink:  # its process runs, or another one has read it
            os.close(descriptor)
            continue
        journals.append((file, descriptor, _pending_of(file, os.pread(descriptor, _COUNTS.size, 0))))
    return journals


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _pending_of(file: Path, data: bytes) -> int:
    if len(data) < _COUNTS.size:
        return 0  # its process was killed before it could count
    magic, began, settled = _COUNTS.unpack(data)
    if magic != _MAGIC or settled > began:
        log.warning("A journal of the ledger can't be read, so the rows that it counts are unknown", file=file.name)
        return 0
    return int(began - settled)
