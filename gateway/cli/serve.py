"""`openclaw-gateway serve`: run the gateway until it is told to stop. Without a configuration it writes a first one."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop
from aiohttp import web

from gateway.app import create_app
from gateway.cli.check import BUILT_IN
from gateway.cli.first_run import ensure_config
from gateway.cli.main import COMMANDS, config_option
from gateway.config.gateway import GatewayConfig
from gateway.config.load import Loaded, load
from gateway.core.errors import ConfigError
from gateway.http.server import Runner, listen
from gateway.observe import log as logs

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

log = structlog.get_logger(__name__)

_HOSTS = {"loopback": "127.0.0.1", "auto": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means
_DRAIN = 20.0  # seconds that running requests get after a stop signal


def add_parser(sub: "Subparsers") -> None:
    """`serve [--config FILE] [--port N] [--bind WHERE]`."""
    parser = sub.add_parser("serve", help=COMMANDS["serve"], description=__doc__)
    config_option(parser)
    parser.add_argument("--port", type=int, help="port to listen on (default: gateway.port, 18789)")
    parser.add_argument("--bind", choices=("loopback", "lan", "auto", "custom"), help="where to listen")


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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(loaded, host, first=first))


def listen_host(gateway: GatewayConfig) -> str:
    """The address behind `gateway.bind`. Raises ConfigError for what can't be listened on."""
    if gateway.bind == "custom":
        if not gateway.custom_bind_host:
            raise ConfigError(("gateway.customBindHost: missing; gateway.bind is 'custom'",))
        return gateway.custom_bind_host
    if gateway.bind == "tailnet":
        raise ConfigError(("gateway.bind: 'tailnet' is not found out here; use 'custom' with the tailnet address",))
    return _HOSTS[gateway.bind]


async def _serve(loaded: Loaded, host: str, *, first: bool) -> int:
    config = loaded.config
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    runner = Runner(create_app(config, loaded.env, loaded.state_directory), shutdown_timeout=_DRAIN)
    try:
        await runner.setup()
        await web.SockSite(runner, listen(host, config.gateway.port), backlog=1024).start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        print(f"openclaw-gateway can't listen on {host}:{config.gateway.port}: {reason}", file=sys.stderr)
        await runner.cleanup()
        return 1
    # What lives now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 100)
    _announce(loaded, host, first=first)
    await stop.wait()
    log.info("stopping", drain_seconds=_DRAIN)
    await runner.cleanup()
    return 0


def _announce(loaded: Loaded, host: str, *, first: bool) -> None:
    config = loaded.config
    log.info("listening", host=host, port=config.gateway.port, auth=config.gateway.auth.mode, config=str(loaded.path))
    if loaded.ignored:
        log.info("sections of the configuration that are not served here", sections=", ".join(loaded.ignored))
    for warning in loaded.warnings:
        log.warning(warning)
    if config.gateway.auth.generated:
        log.warning(
            "no token is configured: every request is refused. Set gateway.auth.token or OPENCLAW_GATEWAY_TOKEN"
        )
    elif first or sys.stdout.isatty():
        _greet(config.gateway)


def _greet(gateway: GatewayConfig) -> None:
    """How to make a first request; the token is shown to whoever sits at the terminal, never logged."""
    base = f"http://127.0.0.1:{gateway.port}/v1"
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    auth = f" -H 'Authorization: Bearer {secret.get_secret_value()}'" if secret else ""
    body = '{"model":"openclaw/default","messages":[{"role":"user","content":"hi"}]}'
    print(f"\n  API base   {base}")
    if secret:
        print(f"  API key    {secret.get_secret_value()}")
    print(f"  Try it     curl -sS {base}/chat/completions{auth} -H 'Content-Type: application/json' -d '{body}'\n")
    sys.stdout.flush()
