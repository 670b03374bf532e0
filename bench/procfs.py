"""CPU time and memory of a process and all its descendants, read from /proc (Linux only)."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the command name (so 0 is the state), or None if the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """`root` and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, ()))
    return tree


def cpu_seconds(root: int) -> float:
    """User and system time of the tree in seconds, including ended children."""
    ticks = 0
    for pid in tree(root):
        if fields := _fields(pid):
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_SECOND


def rss_bytes(root: int) -> int:
    """Resident memory of the tree; pages that processes share count once for each."""
    total = 0
    for pid in tree(root):
        if fields := _fields(pid):
            total += int(fields[21]) * PAGE_SIZE
    return total
