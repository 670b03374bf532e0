"""What the checks look at: a configuration as `serve` would load it, and the machine it would run on."""

import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.environment import config_file, state_directory
from gateway.config.load import Loaded
from gateway.config.secret_values import secret_values
from gateway.core.errors import ConfigError
from gateway.upstream.provider import Provider
from gateway.validation import Valid, valid_from, validated


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _open_files() -> int:
    """The hard limit: the gateway raises the soft one itself."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@dataclass(frozen=True, slots=True)
class Machine:
    """What depends on this machine: Unix time in seconds, free bytes of a directory's disk, allowed open files."""

    now: Callable[[], float] = time.time
    free_bytes: Callable[[Path], int] = _free_bytes
    open_files: Callable[[], int] = _open_files


@dataclass(frozen=True, slots=True)
class Setup:
    """`valid` is None for a configuration that is refused; `problems` then says why.

    A running gateway serves a `valid` one although its file is refused now. `file` and `state` exist or not; `env` is
    the process's environment without the file's variables. `runs` says whether this process is the gateway.
    """

    file: Path
    state: Path
    env: Mapping[str, str] = field(repr=False)
    valid: Valid | None
    problems: tuple[str, ...] = ()
    machine: Machine = field(default_factory=Machine)
    runs: bool = False

    def secrets(self) -> set[str]:
        """Every secret of the configuration, of its providers and of the environment's own variables."""
        if self.valid is None:
            return set()
        values = secret_values(self.valid.loaded.config)
        for provider in self.valid.providers.values():
            values.update(secret for row in _rows(provider) for secret in row.secrets)
        return values


def load_setup(path: Path | None, env: Mapping[str, str], machine: Machine | None = None, **options: object) -> Setup:
    """Load what `serve` would load. `options` are those of `validated`. A refused configuration is no error here."""
    file, state, machine = config_file(path, env), state_directory(env), machine or Machine()
    try:
        valid = validated(path, env, **options)  # type: ignore[arg-type]
    except ConfigError as error:
        return Setup(file, state, env, None, error.problems, machine)
    return Setup(file, state, env, valid, (), machine)


def setup_in_force(loaded: Loaded, problems: tuple[str, ...] = ()) -> Setup:
    """The configuration that this process serves, and the `problems` of a changed file that it refused."""
    return Setup(loaded.path, loaded.state_directory, loaded.env, valid_from(loaded), problems, runs=True)


def _rows(provider: Provider) -> Iterator[Provider]:
    for row in (provider, *provider.model_rows.values()):
        yield from (row, *row.others)
