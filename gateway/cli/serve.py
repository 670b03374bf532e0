"""`openclaw-gateway serve`: run the gateway until a stop signal. Without a configuration it writes a first one."""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from gateway.app import GENERATIONS, create_app
from gateway.cli import messages
from gateway.cli.allocator import return_large_blocks
from gateway.cli.event_loop import EventLoop
from gateway.cli.first_run import ensure_config
from gateway.cli.greeting import announce
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.open_files import raise_limit
from gateway.cli.parent import Parent
from gateway.cli.reload_triggers import ReloadTriggers
from gateway.cli.serving_options import serving_options
from gateway.cli.stop import Stop
from gateway.cli.worker_metrics import MetricsHub, parent_metrics
from gateway.cli.worker_reloads import WorkerReloads
from gateway.cli.workers import Workers, check_free
from gateway.config.environment import config_file, state_directory
from gateway.config.gateway import DrainConfig, GatewayConfig
from gateway.config.load import Loaded
from gateway.config.problems import Problem
from gateway.config.reload_status import Reloads, ReloadStatus
from gateway.config.root import Config
from gateway.config.secret_values import secret_values
from gateway.core.child_process import python_command
from gateway.core.errors import ConfigError
from gateway.generations import Generations
from gateway.http.keys import DRAIN
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain
from gateway.http.server.tls import ServerTls
from gateway.monitoring import OtherProcesses
from gateway.observe import log as logs
from gateway.observe.redact import hide_values
from gateway.reloader import Load, Read, Reloader, read_first
from gateway.validation import Valid, tls_files, validated

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
    raise_limit()
    if args.worker is not None:
        return _work(args.worker)
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
        return _supervise(args.workers, read, load, first=first)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_serve_alone(read, load, first=first))


def listen_host(gateway: GatewayConfig) -> str:
    """The address of `gateway.bind`, which `gateway.config.listener_rules` has checked."""
    if gateway.bind == "custom" and gateway.custom_bind_host:
        return gateway.custom_bind_host
    return _HOSTS[gateway.bind]


def configure_logs(config: Config) -> None:
    """Level and style of the log, from `logging`."""
    logging = config.logging
    logs.configure(
        stream_is_tty=sys.stderr.isatty(), level=logging.console_level or logging.level, style=logging.console_style
    )


def _supervise(count: int, read: Read, load: Load, *, first: bool) -> int:
    """The parent of workers: it loads the configuration, for itself and for all of them."""
    valid = read.valid
    gateway = valid.loaded.config.gateway
    host = listen_host(gateway)
    try:
        check_free(host, gateway.port)
    except OSError as error:
        return _cannot_listen(host, gateway.port, error)
    policy = _policy(gateway.drain)

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


def _work(number: int) -> int:
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


async def _serve_alone(read: Read, load: Load, *, first: bool) -> int:
    valid = read.valid
    stop = Stop()
    stop.listen_to_signals()

    async def apply(loaded: Loaded, _generation: int) -> None:
        await app[GENERATIONS].prepare(loaded.config, loaded.env)
        app[GENERATIONS].commit()

    reloader = Reloader(read, load, apply, clock=time.time)
    triggers = ReloadTriggers(reloader, reloader.reload)
    app = _app(valid.loaded, reloader)

    def serving() -> None:
        triggers.listen()
        announce(valid, listen_host(valid.loaded.config.gateway), first=first)

    return await _serve(app, valid.loaded, stop, serving, triggers.close)


async def _serve_as_worker(loaded: Loaded, status: ReloadStatus) -> int:
    stop = Stop()
    stop.listen_as_worker()
    parent = Parent(status)
    parent.listen(stop)
    app = _app(loaded, parent, parent_metrics(os.environ))

    def serving() -> None:
        parent.report_serving(app[GENERATIONS])

    return await _serve(app, loaded, stop, serving, parent.close, shared=True)


def _app(loaded: Loaded, reloads: Reloads, others: OtherProcesses | None = None) -> web.Application:
    return create_app(loaded.config, loaded.env, loaded.state_directory, reloads=reloads, others=others)


async def _serve(
    app: web.Application,
    loaded: Loaded,
    stop: Stop,
    serving: Callable[[], None],
    stop_reloading: Callable[[], Awaitable[None]],
    *,
    shared: bool = False,
) -> int:
    """Serve until a stop request. `serving` is called once connections are accepted; `shared`: see `listen`."""
    gateway = loaded.config.gateway
    host = listen_host(gateway)
    runner = Runner(app)
    try:
        await runner.setup()
        files = tls_files(gateway.tls)
        tls = None if files is None else ServerTls(files)
        await runner.listen(listen(host, gateway.port, shared=shared), None if tls is None else tls.context)
    except OSError as error:
        await runner.cleanup()
        return _cannot_listen(host, gateway.port, error)
    app[GENERATIONS].on_commit.append(configure_logs)
    if tls is not None:
        _rotate(tls, app[GENERATIONS])
    return_large_blocks()
    # All objects of now live as long as the process: the collector need not examine them again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 100)
    serving()
    await stop.requested.wait()
    await stop_reloading()
    drain_config = app[GENERATIONS].config.gateway.drain
    await drain(runner, app[DRAIN], _policy(drain_config), stop.force, notice=stop.notice)
    await runner.cleanup()
    return 0


def _rotate(tls: ServerTls, generations: Generations) -> None:
    """Let a reload read the certificates again."""

    async def prepare(_config: Config) -> None:
        try:
            await tls.prepare()
        except ValueError as error:
            raise ConfigError((str(Problem("gateway.tls", str(error))),)) from None

    generations.on_prepare.append(prepare)
    generations.on_commit.append(lambda _: tls.commit())


def _policy(config: DrainConfig) -> DrainPolicy:
    return DrainPolicy(notice=config.notice_ms / 1000, limit=config.timeout_ms / 1000)


def _cannot_listen(host: str, port: int, error: OSError) -> int:
    reason = os.strerror(error.errno) if error.errno else str(error)
    print(f"openclaw-gateway can't listen on {host}:{port}: {reason}", file=sys.stderr)
    return 1
