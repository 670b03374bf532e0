"""Checks of files and of this machine: modes, the state directory, disk space, open files."""

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.state.configured import FILE
from gateway.state.inspection import problem_of
from gateway.state.schema import MIGRATIONS
from gateway.validation.certificates import tls_files

MIN_FREE = 2**30
"""Bytes."""
MIN_OPEN_FILES = 4096


def check_modes(setup: Setup) -> Iterator[Finding]:
    """Files and directories that other users of this machine can read or change."""
    files = [("files.config-mode", setup.file, 0o600), ("files.env-mode", setup.state / ".env", 0o600)]
    files.append(("files.state-mode", setup.state, 0o700))
    if setup.valid is not None and (tls := tls_files(setup.valid.loaded.config.gateway.tls)) is not None:
        files.append(("files.key-mode", tls.key, 0o600))
    for kind, path, mode in files:
        if path.exists() and (actual := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            yield Finding(
                kind, f"{path} has mode {actual:04o}", f"chmod {mode:o} {shlex.quote(str(path))}", (path, mode)
            )


def check_state(setup: Setup) -> Iterator[Finding]:
    """Whether the state directory and its database can be used, and whether the disk has room."""
    if setup.valid is not None and _stores_elsewhere(setup):
        return
    if (problem := problem_of(setup.state / FILE, MIGRATIONS)) is not None:
        seen, _, fix = problem.partition(". ")
        yield Finding("state.unusable", seen.removesuffix("."), fix or "choose another one with OPENCLAW_STATE_DIR")
        return
    folder = _existing(setup.state)
    free = setup.machine.free_bytes(folder)
    if free < MIN_FREE:
        fix = "free some space, or lower gateway.ledger.maxBytes and session.maxBytes"
        yield Finding("disk.low", f"{free // 2**20} MiB are free on the disk of {folder}", fix)


def check_process(setup: Setup) -> Iterator[Finding]:
    """The limit of open files, which a service inherits from its unit and a shell from its user."""
    limit = setup.machine.open_files()
    if 0 <= limit < MIN_OPEN_FILES:
        fix = "run ulimit -n 65536 before the start, or set LimitNOFILE=65536 in the systemd unit"
        yield Finding("process.open-files", f"{limit} open files are allowed here", fix)


def _stores_elsewhere(setup: Setup) -> bool:
    """Whether nothing is written to the state directory."""
    if setup.valid is None:
        return False
    gateway = setup.valid.loaded.config.gateway
    return gateway.state.backend == "memory" or (gateway.redis.url is not None and gateway.state.backend == "auto")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
