"""One worker of `serve --workers N`: its parent sends it the configuration, later ones, and the request to stop."""

import asyncio
import os
import sys

import structlog

from gateway.app import GENERATIONS
from gateway.cli import messages
from gateway.cli.event_loop import EventLoop
from gateway.cli.parent import Parent
from gateway.cli.serving import application, configure_logs, serve_until_stopped
from gateway.cli.stop import Stop
from gateway.cli.worker_metrics import parent_metrics
from gateway.config.load import Loaded
from gateway.config.reload_status import ReloadStatus
from gateway.config.secret_values import secret_values
from gateway.observe.redact import hide_values


def work(number: int) -> int:
    """One worker: its configuration and all later ones come from its parent."""
    try:
        loaded, status = messages.read_first(sys.stdin.fileno())
    except EOFError:
        return 1  # the parent stopped it, or has died
    configure_logs(loaded.config)
    hide_values(secret_values(loaded.config))
    structlog.contextvars.bind_contextvars(worker=number)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_serve_as_worker(loaded, status))


async def _serve_as_worker(loaded: Loaded, status: ReloadStatus) -> int:
    stop = Stop()
    stop.listen_as_worker()
    parent = Parent(status)
    parent.listen(stop)
    app = application(loaded, parent, parent_metrics(os.environ))

    def serving() -> None:
        parent.report_serving(app[GENERATIONS])

    return await serve_until_stopped(app, loaded, stop, serving, parent.close, shared=True)
