"""The parent of `serve --workers N`: it loads the configuration for its workers, and reloads it in all of them."""

import asyncio
import time
from functools import partial

from gateway.cli.greeting import announce
from gateway.cli.reload_triggers import ReloadTriggers
from gateway.cli.serving import configure_logs, drain_policy, listen_host, report_no_listener
from gateway.cli.worker_metrics import MetricsHub
from gateway.cli.worker_reloads import WorkerReloads
from gateway.cli.workers import Workers, check_free
from gateway.config.load import Loaded
from gateway.config.secret_values import secret_values
from gateway.core.child_process import python_command
from gateway.observe.redact import hide_values
from gateway.reloader import Load, Read, Reloader

_KILL_MARGIN = 10.0  # seconds beyond its own limits after which a worker is killed


def supervise(count: int, read: Read, load: Load, *, first: bool) -> int:
    """The parent of workers: it loads the configuration, for itself and for all of them."""
    valid = read.valid
    gateway = valid.loaded.config.gateway
    host = listen_host(gateway)
    try:
        check_free(host, gateway.port)
    except OSError as error:
        return report_no_listener(host, gateway.port, error)
    policy = drain_policy(gateway.drain)

    async def supervised() -> int:
        workers = Workers(
            count,
            [*python_command("gateway"), "serve", "--worker"],
            announce=lambda: announce(valid, host, first=first, workers=count),
            shutdown_timeout=policy.notice + policy.limit + _KILL_MARGIN,
            metrics=(metrics := MetricsHub()),
        )

        async def apply(loaded: Loaded, generation: int) -> None:
            await reloads.apply(loaded, generation)
            configure_logs(loaded.config)
            hide_values(secret_values(loaded.config))

        reloader = Reloader(read, load, apply, clock=time.time)
        reloads = WorkerReloads(valid.loaded, reloader.status, workers)
        triggers = ReloadTriggers(reloader, partial(reloads.reload, reloader))
        reloads.on_request = lambda number: triggers.start(reloads.answer(reloader, number))
        workers.follower = reloads
        workers.on_stop.append(triggers.close)
        try:
            return await workers.run(triggers.listen)
        finally:
            await metrics.close()

    with asyncio.Runner() as runner:
        return runner.run(supervised())
