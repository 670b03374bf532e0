"""Composes what operators ask a running gateway for: its status, and its doctor."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.config.environment import config_file
from gateway.config.load import Loaded
from gateway.config.reload_status import Reloads
from gateway.doctor.running import RunningDoctor
from gateway.doctor.setup import Setup, setup_in_force
from gateway.generations import Generations
from gateway.http.endpoints.doctor import DOCTOR
from gateway.http.endpoints.status import IN_FLIGHT, INSTANCES
from gateway.http.keys import LINK
from gateway.instance_sync import InstanceSync, own_facts
from gateway.monitoring import Monitoring
from openclaw_ratelimit import ReplicationLink


def add_status(
    app: web.Application, link: ReplicationLink | None, reloads: Reloads | None, monitoring: Monitoring
) -> None:
    """What the status shows beside what the application has already. `link` is not open yet."""
    app[LINK] = link
    app[INSTANCES] = _instances(link, lambda: 0 if reloads is None else reloads.status.generation)
    app[IN_FLIGHT] = monitoring.in_flight


def add_doctor(app: web.Application, generations: Generations, reloads: Reloads | None, state: Path) -> None:
    """The doctor of what is in force."""
    app[DOCTOR] = RunningDoctor(partial(_setup, generations, reloads, state))


def _instances(link: ReplicationLink | None, generation: Callable[[], int]) -> Callable[[], list[dict[str, Any]]]:
    """Returns the facts of all instances: of this one alone without Redis."""
    return (lambda: [own_facts(generation())]) if link is None else InstanceSync(link, generation).instances


def _setup(generations: Generations, reloads: Reloads | None, state: Path) -> Setup:
    """What this process serves, for its doctor."""
    env = generations.env
    if reloads is None:
        return setup_in_force(Loaded(generations.config, config_file(None, env), state_directory=state, env=env))
    status = reloads.status
    loaded = Loaded(generations.config, Path(status.path), status.ignored, status.inert, state, env, status.warnings)
    refused = status.last is not None and status.last.status == "refused"
    return setup_in_force(loaded, status.last.problems if refused and status.last is not None else ())
