"""`openclaw-gateway serve`: run the gateway until a stop signal. Without a configuration it writes a first one."""

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app import GENERATIONS
from gateway.cli.event_loop import EventLoop
from gateway.cli.first_run import ensure_config
from gateway.cli.greeting import announce
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.open_files import raise_limit
from gateway.cli.reload_triggers import ReloadTriggers
from gateway.cli.serving import application, configure_logs, listen_host, serve_until_stopped
from gateway.cli.serving_options import serving_options
from gateway.cli.stop import Stop
from gateway.cli.supervise import supervise
from gateway.cli.worker import work
from gateway.config.environment import config_file, state_directory
from gateway.config.load import Loaded
from gateway.config.secret_values import secret_values
from gateway.observe.redact import hide_values
from gateway.reloader import Load, Read, Reloader, read_first
from gateway.validation import Valid, validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`serve [--config FILE] [--port N] [--bind WHERE] [--workers N]`."""
    parser = sub.add_parser("serve", help=COMMANDS["serve"], description=__doc__)
    config_option(parser)
    serving_options(parser)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # this is one of them: see `workers`


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. 1 when the port can't be used. Raises ConfigError for a bad configuration."""
    raise_limit()
    if args.worker is not None:
        return work(args.worker)
    path = Path(args.config) if args.config else None
    first = ensure_config(path, os.environ)

    def load(files: set[Path]) -> Valid:
        return validated(
            path,
            os.environ,
            port=args.port,
            bind=args.bind,
            workers=args.workers,
            endpoints=args.endpoints,
            files=files,
        )

    known = {config_file(path, os.environ), state_directory(os.environ) / ".env"}
    read = read_first(load, known)
    config = read.valid.loaded.config
    configure_logs(config)
    hide_values(secret_values(config))
    if args.workers > 1:
        return supervise(args.workers, read, load, first=first)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_serve_alone(read, load, first=first))


async def _serve_alone(read: Read, load: Load, *, first: bool) -> int:
    valid = read.valid
    stop = Stop()
    stop.listen_to_signals()

    async def apply(loaded: Loaded, _generation: int) -> None:
        await app[GENERATIONS].prepare(loaded.config, loaded.env)
        app[GENERATIONS].commit()

    reloader = Reloader(read, load, apply, clock=time.time)
    triggers = ReloadTriggers(reloader, reloader.reload)
    app = application(valid.loaded, reloader)

    def serving() -> None:
        triggers.listen()
        announce(valid, listen_host(valid.loaded.config.gateway), first=first)

    return await serve_until_stopped(app, valid.loaded, stop, serving, triggers.close)
