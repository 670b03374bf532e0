"""`openclaw-gateway serve`: run the gateway until it is told to stop. Without a configuration it writes a first one."""

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop

from gateway.app import create_app
from gateway.cli.check import BUILT_IN
from gateway.cli.first_run import ensure_config
from gateway.cli.greeting import announce
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.stop import Stop
from gateway.cli.workers import Workers, check_free, tell_parent
from gateway.config.gateway import DrainConfig, GatewayConfig
from gateway.config.load import Loaded, load
from gateway.core.errors import ConfigError
from gateway.http.keys import DRAIN
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain
from gateway.observe import log as logs

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_HOSTS = {"loopback": "127.0.0.1", "auto": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means
_MARGIN = 10.0  # seconds beyond its own limits after which a worker is killed


def add_parser(sub: "Subparsers") -> None:
    """`serve [--config FILE] [--port N] [--bind WHERE] [--workers N]`."""
    parser = sub.add_parser("serve", help=COMMANDS["serve"], description=__doc__)
    config_option(parser)
    parser.add_argument("--port", type=int, help="port to listen on (default: gateway.port, 18789)")
    parser.add_argument("--bind", choices=("loopback", "lan", "auto", "custom"), help="where to listen")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes on the port (default: 1); more need Redis"
    )
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # this is one of them: see `workers`


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. 1 when the port can't be used; ConfigError when the configuration can't be."""
    path = Path(args.config) if args.config else None
    first = ensure_config(path, os.environ)
    loaded = load(path, os.environ, catalogue=BUILT_IN, port=args.port, bind=args.bind)
    logging = loaded.config.logging
    logs.configure(
        stream_is_tty=sys.stderr.isatty(),
        level=logging.console_level or logging.level,
        style=logging.console_style,
    )
    host = listen_host(loaded.config.gateway)
    if args.workers > 1:
        return _supervise(args, loaded, host, first=first)
    if args.worker is not None:
        structlog.contextvars.bind_contextvars(worker=args.worker)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(loaded, host, first=first, worker=args.worker is not None))


def listen_host(gateway: GatewayConfig) -> str:
    """The address behind `gateway.bind`. Raises ConfigError for what can't be listened on."""
    if gateway.bind == "custom":
        if not gateway.custom_bind_host:
            raise ConfigError(("gateway.customBindHost: missing; gateway.bind is 'custom'",))
        return gateway.custom_bind_host
    if gateway.bind == "tailnet":
        raise ConfigError(("gateway.bind: 'tailnet' is not found out here; use 'custom' with the tailnet address",))
    return _HOSTS[gateway.bind]


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


def _supervise(args: argparse.Namespace, loaded: Loaded, host: str, *, first: bool) -> int:
    gateway = loaded.config.gateway
    if gateway.redis.url is None:
        said = f"is missing, while --workers is {args.workers}, and workers share what they count through Redis"
        raise ConfigError((f"gateway.redis.url: {said}; set it or OPENCLAW_REDIS_URL, or leave --workers out",))
    try:
        check_free(host, gateway.port)
    except OSError as error:
        return _cannot_listen(host, gateway.port, error)
    options = (("--config", args.config), ("--port", args.port), ("--bind", args.bind))
    given = [word for name, value in options if value is not None for word in (name, str(value))]
    policy = _policy(gateway.drain)

    async def supervised() -> int:
        workers = Workers(
            args.workers,
            [sys.executable, "-m", "gateway", "serve", *given, "--worker"],
            announce=lambda: announce(loaded, host, first=first, workers=args.workers),
            patience=policy.notice + policy.limit + _MARGIN,
        )
        return await workers.run()

    with asyncio.Runner() as runner:
        return runner.run(supervised())


async def _serve(loaded: Loaded, host: str, *, first: bool, worker: bool) -> int:
    gateway = loaded.config.gateway
    stop = Stop()
    (stop.hear_parent if worker else stop.hear_signals)()
    app = create_app(loaded.config, loaded.env, loaded.state_directory)
    runner = Runner(app)
    try:
        await runner.setup()
        await runner.listen(listen(host, gateway.port, shared=worker))
    except OSError as error:
        await runner.cleanup()
        return _cannot_listen(host, gateway.port, error)
    # What lives now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 100)
    if worker:
        tell_parent()
    else:
        announce(loaded, host, first=first)
    await stop.asked.wait()
    await drain(runner, app[DRAIN], _policy(gateway.drain), stop.hurry, notice=stop.notice)
    await runner.cleanup()
    return 0


def _policy(config: DrainConfig) -> DrainPolicy:
    return DrainPolicy(notice=config.notice_ms / 1000, limit=config.timeout_ms / 1000)


def _cannot_listen(host: str, port: int, error: OSError) -> int:
    reason = os.strerror(error.errno) if error.errno else str(error)
    print(f"openclaw-gateway can't listen on {host}:{port}: {reason}", file=sys.stderr)
    return 1
