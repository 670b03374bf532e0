"""The configuration in force, and what became of the last request to load a changed one."""

from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.config.problems import Problem

Trigger = Literal["file", "signal", "request"]
"""A watched file changed, SIGHUP arrived, or the API asked."""


@dataclass(frozen=True, slots=True)
class Reload:
    """One attempt to load a changed configuration, at Unix time `at`.

    `problems` are why it was `refused`: then nothing changed. `needs_restart` are keys whose new values wait for one.
    """

    at: float
    trigger: Trigger
    status: Literal["accepted", "unchanged", "refused"]
    problems: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """`generation` counts the configurations that have been in force, beginning with 1; this one is in force since
    Unix time `since`. `watched` says whether changed files are loaded by themselves. `ignored`, `inert` and `warnings`
    are those of `Loaded`. `last` is None before any attempt.
    """

    path: str
    generation: int
    since: float
    watched: bool
    ignored: tuple[str, ...] = ()
    inert: tuple[str, ...] = ()
    last: Reload | None = None
    warnings: tuple[Problem, ...] = ()


class Reloads(Protocol):
    """Loads changed configurations, for all processes of this gateway."""

    @property
    def status(self) -> ReloadStatus:
        """What is in force now."""
        ...

    async def reload(self, trigger: Trigger) -> Reload:
        """Load the configuration again. It never raises for a bad one."""
        ...
