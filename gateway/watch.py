"""Notices changed files by looking at them: replaced files, swapped links and changed content are all the same to it.

Events of the file system would need a watch per directory on the way, and don't cross network mounts; a look at ten
files takes 50 µs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

Seen = tuple[int, int, int, int, int] | None
"""What changes with a file: device, inode, size, times of content and inode (ns). None: it can't be read."""

INTERVAL = 0.5  # seconds between two looks; a change counts once two looks in a row are equal


def look(files: Collection[Path]) -> dict[Path, Seen]:
    """The state of each file, links followed."""
    return {file: _look(file) for file in files}


def _look(file: Path) -> Seen:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def emptied(before: Mapping[Path, Seen], after: Mapping[Path, Seen]) -> list[Path]:
    """The files that had content and now have none, because somebody has only begun to write them."""
    return [file for file, now in after.items() if now and not now[2] and (was := before.get(file)) and was[2]]


class Watch:
    """Calls `changed` once files differ from what was loaded of them and are still for one interval.

    `loaded` returns the state of every file at the last load, `enabled` whether to look at all. `sleep` takes seconds.
    """

    def __init__(
        self,
        loaded: Callable[[], Mapping[Path, Seen]],
        changed: Callable[[], Awaitable[object]],
        *,
        enabled: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._loaded = loaded
        self._changed = changed
        self._enabled = enabled
        self._sleep = sleep

    async def run(self) -> None:
        """Look until this task is cancelled."""
        previous: Mapping[Path, Seen] = {}
        while True:
            await self._sleep(INTERVAL)
            if not self._enabled():
                continue
            now = await asyncio.to_thread(look, self._loaded().keys())
            is_still, previous = now == previous, now
            if is_still and now != self._loaded():
                await self._changed()
