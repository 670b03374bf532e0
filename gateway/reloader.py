"""Loads a changed configuration: all of it is validated before anything changes, then put in force at once.

`Reloader` decides; `apply` puts a configuration in force, in this process or in all workers (`gateway.cli.workers`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gateway.config.changes import applicable
from gateway.config.load import Loaded
from gateway.config.reload_status import Reload, ReloadStatus, Trigger
from gateway.core.errors import ConfigError
from gateway.validation import Valid, referenced_files
from gateway.watch import Seen, emptied, look

log = structlog.get_logger(__name__)

Load = Callable[[set[Path]], Valid]
"""Reads and validates the configuration; adds the paths of its files to the set. Raises ConfigError."""
Apply = Callable[[Loaded, int], Awaitable[None]]
"""Puts a configuration in force under the number of its generation, or raises ConfigError and changes nothing."""

_MAX_READS = 5  # while files change under the reader


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration, and the state of its files before they were read. Compare both to find later changes."""

    valid: Valid
    files: Mapping[Path, Seen]


class Reloader:
    """See `Reloads`. `first` is the configuration of the start. `clock` gives Unix time."""

    def __init__(self, first: Read, load: Load, apply: Apply, *, clock: Callable[[], float]) -> None:
        self._running = first.valid.loaded
        self._warnings = first.valid.warnings
        self._load = load
        self._apply = apply
        self._clock = clock
        self._accepted_files = first.files
        self._lock = asyncio.Lock()
        self.files = first.files
        """The state of every file at the last attempt."""
        self.status = _status(self._running, 1, clock(), None)

    @property
    def running(self) -> Loaded:
        """The configuration in force."""
        return self._running

    async def reload(self, trigger: Trigger) -> Reload:
        """See `Reloads`."""
        async with self._lock:
            try:
                attempt = await self._attempt(trigger)
            except ConfigError as error:
                attempt = self._refused(trigger, error.problems)
            except Exception as error:  # whatever it is, the gateway goes on with what it has
                log.exception("Configuration can't be loaded")
                attempt = self._refused(trigger, (f"internal error: {type(error).__name__}",))
            last = self.status.last
            if attempt.status == "unchanged" and trigger == "file" and last is not None and last.status != "refused":
                return attempt  # somebody has touched a file: the last result says more
            self.status = replace(self.status, last=attempt)
            return attempt

    def _refused(self, trigger: Trigger, problems: tuple[str, ...]) -> Reload:
        path = self.status.path
        log.error("Configuration is refused, the last one stays in force", config=path, problems=list(problems))
        return Reload(self._clock(), trigger, "refused", problems)

    async def _attempt(self, trigger: Trigger) -> Reload:
        read = await self._read()
        valid = read.valid
        config, waiting = applicable(self._running.config, valid.loaded.config)
        loaded = replace(valid.loaded, config=config)
        # Looked at before `apply` reads them, so that a later change is noticed.
        named = await asyncio.to_thread(look, set(referenced_files(loaded)))
        changed = loaded != self._running or any(named[file] != self._accepted_files.get(file) for file in named)
        if changed:
            number = self.status.generation + 1
            await self._apply(loaded, number)
            self._running = loaded
            self.status = _status(loaded, number, self._clock(), self.status.last)
        self.files = self._accepted_files = {**read.files, **named}
        if changed or waiting:
            log.info(
                "Configuration is reloaded" if changed else "Configuration has changes that need a restart",
                generation=self.status.generation,
                trigger=trigger,
                **({"needs_restart": list(waiting)} if waiting else {}),
            )
        for warning in valid.warnings:
            if warning not in self._warnings:
                log.warning("A part of the configuration does not work", problem=warning)
        self._warnings = valid.warnings
        return Reload(self._clock(), trigger, "accepted" if changed else "unchanged", (), waiting)

    async def _read(self) -> Read:
        """Raises ConfigError. `files` is up to date in every ending."""
        reads_left = _MAX_READS
        while True:
            files: set[Path] = set()
            before = await asyncio.to_thread(look, self._accepted_files)
            valid = await asyncio.to_thread(self._loaded, files)
            after = await asyncio.to_thread(look, files | before.keys())
            self.files = {**after, **before}
            reads_left -= 1
            if not reads_left or all(after[file] == state for file, state in before.items()):
                break  # else the parts may not belong together
        if half_written := emptied(self._accepted_files, {file: after[file] for file in files}):
            raise ConfigError(tuple(f"{file}: is empty now; write it again" for file in half_written))
        if isinstance(valid, Exception):
            raise valid
        path = valid.loaded.path
        if self._accepted_files.get(path) and not after.get(path):
            raise ConfigError((f"{path}: is missing; restore it, or restart to go on with the defaults",))
        self.files = {file: self.files[file] for file in files}
        return Read(valid, self.files)

    def _loaded(self, files: set[Path]) -> Valid | Exception:
        """The error instead of raising it, because the files that were read count in every case."""
        try:
            return self._load(files)
        except Exception as error:  # noqa: BLE001  `_read` raises it
            return error


def read_first(load: Load, known: set[Path]) -> Read:
    """The configuration at the start; `known` are files that are certain to be read. Raises ConfigError."""
    files = set(known)
    before = look(files)
    valid = load(files)
    return Read(valid, {**look(files), **before})


def _status(loaded: Loaded, generation: int, since: float, last: Reload | None) -> ReloadStatus:
    watched = loaded.config.gateway.reload.mode != "off"
    return ReloadStatus(
        str(loaded.path), generation, since, watched, loaded.ignored, loaded.inert, last, loaded.warnings
    )
