"""`openclaw-gateway serve`: run the gateway until a stop signal. Without a configuration it writes a first one."""

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.app import create_app
from gateway.cli.allocator import return_large_blocks
from gateway.cli.event_loop import EventLoop
from gateway.cli.first_run import ensure_config
from gateway.cli.greeting import announce
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.serving_options import ENDPOINTS, serving_options
from gateway.cli.stop import Stop
from gateway.cli.worker_metrics import MetricsHub, parent_metrics
from gateway.cli.workers import Workers, check_free, report_serving
from gateway.config.gateway import DrainConfig, GatewayConfig
from gateway.config.secret_values import secret_values
from gateway.core.child_process import python_command
from gateway.http.keys import DRAIN
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain
from gateway.observe import log as logs
from gateway.observe.redact import hide_values
from gateway.validation import Valid, validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_HOSTS = {"loopback": "127.0.0.1", "auto": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means
_KILL_MARGIN = 10.0  # seconds beyond its own limits after which a worker is killed


def add_parser(sub: "Subparsers") -> None:
    """`serve [--config FILE] [--port N] [--bind WHERE] [--workers N]`."""
    parser = sub.add_parser("serve", help=COMMANDS["serve"], description=__doc__)
    config_option(parser)
    serving_options(parser)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # this is one of them: see `workers`


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. 1 when the port can't be used. Raises ConfigError for a bad configuration."""
    path = Path(args.config) if args.config else None
    first = ensure_config(path, os.environ)
    valid = validated(path, os.environ, port=args.port, bind=args.bind, workers=args.workers, endpoints=args.endpoints)
    logging = valid.loaded.config.logging
    logs.configure(
        stream_is_tty=sys.stderr.isatty(),
        level=logging.console_level or logging.level,
        style=logging.console_style,
    )
    hide_values(secret_values(valid.loaded.config))
    host = listen_host(valid.loaded.config.gateway)
    if args.workers > 1:
        return _supervise(args, valid, host, first=first)
    if args.worker is not None:
        structlog.contextvars.bind_contextvars(worker=args.worker)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_serve(valid, host, first=first, worker=args.worker is not None))


def listen_host(gateway: GatewayConfig) -> str:
    """The address of `gateway.bind`, which `gateway.config.rules` has checked."""
    if gateway.bind == "custom" and gateway.custom_bind_host:
        return gateway.custom_bind_host
    return _HOSTS[gateway.bind]


def _supervise(args: argparse.Namespace, valid: Valid, host: str, *, first: bool) -> int:
    gateway = valid.loaded.config.gateway
    try:
        check_free(host, gateway.port)
    except OSError as error:
        return _cannot_listen(host, gateway.port, error)
    names = ",".join(name for name, key in ENDPOINTS.items() if key in args.endpoints) or None
    options = (("--config", args.config), ("--port", args.port), ("--bind", args.bind), ("--endpoints", names))
    given = [word for name, value in options if value is not None for word in (name, str(value))]
    policy = _policy(gateway.drain)

    async def supervised() -> int:
        workers = Workers(
            args.workers,
            [*python_command("gateway"), "serve", *given, "--worker"],
            announce=lambda: announce(valid, host, first=first, workers=args.workers),
            shutdown_timeout=policy.notice + policy.limit + _KILL_MARGIN,
            metrics=(metrics := MetricsHub()),
        )
        try:
            return await workers.run()
        finally:
            await metrics.close()

    with asyncio.Runner() as runner:
        return runner.run(supervised())


async def _serve(valid: Valid, host: str, *, first: bool, worker: bool) -> int:
    loaded, gateway = valid.loaded, valid.loaded.config.gateway
    stop = Stop()
    (stop.listen_to_parent if worker else stop.listen_to_signals)()
    others = parent_metrics(os.environ) if worker else None
    app = create_app(loaded.config, loaded.env, loaded.state_directory, others=others)
    runner = Runner(app)
    try:
        await runner.setup()
        await runner.listen(listen(host, gateway.port, shared=worker))
    except OSError as error:
        await runner.cleanup()
        return _cannot_listen(host, gateway.port, error)
    return_large_blocks()
    # All objects of now live as long as the process: the collector need not examine them again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 100)
    if worker:
        report_serving()
    else:
        announce(valid, host, first=first)
    await stop.requested.wait()
    await drain(runner, app[DRAIN], _policy(gateway.drain), stop.force, notice=stop.notice)
    await runner.cleanup()
    return 0


def _policy(config: DrainConfig) -> DrainPolicy:
    return DrainPolicy(notice=config.notice_ms / 1000, limit=config.timeout_ms / 1000)


def _cannot_listen(host: str, port: int, error: OSError) -> int:
    reason = os.strerror(error.errno) if error.errno else str(error)
    print(f"openclaw-gateway can't listen on {host}:{port}: {reason}", file=sys.stderr)
    return 1
