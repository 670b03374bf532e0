"""One process that serves: listens, and drains once it has to stop. What `serve` does alone and each of its workers."""

import gc
import os
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.app import GENERATIONS, create_app
from gateway.cli.allocator import return_large_blocks, returning_free_pages
from gateway.cli.stop import Stop
from gateway.config.gateway import DrainConfig, GatewayConfig
from gateway.config.load import Loaded
from gateway.config.problems import Problem
from gateway.config.reload_status import Reloads
from gateway.config.root import Config
from gateway.core.errors import ConfigError
from gateway.generations import Generations
from gateway.http.keys import DRAIN
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.http.server.shutdown import DrainPolicy, drain
from gateway.http.server.tls import ServerTls
from gateway.monitoring import OtherProcesses
from gateway.observe import log as logs
from gateway.validation.certificates import tls_files

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that decodes in Python gives way to the event loop, which waits for the interpreter
several times per request. Python's default is 5 ms."""
_HOSTS = {"loopback": "127.0.0.1", "auto": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means


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


def application(loaded: Loaded, reloads: Reloads, others: OtherProcesses | None = None) -> web.Application:
    """The application of a loaded configuration. `others` are the other workers, which its metrics include."""
    return create_app(loaded.config, loaded.env, loaded.state_directory, reloads=reloads, others=others)


async def serve_until_stopped(
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
        return report_no_listener(host, gateway.port, error)
    app[GENERATIONS].on_commit.append(configure_logs)
    if tls is not None:
        _rotate(tls, app[GENERATIONS])
    return_large_blocks()
    # Every object that exists now lives as long as the process, so the collector need not examine it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 100)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    serving()
    async with returning_free_pages():
        await stop.requested.wait()
    await stop_reloading()
    drain_config = app[GENERATIONS].config.gateway.drain
    await drain(runner, app[DRAIN], drain_policy(drain_config), stop.force, notice=stop.notice)
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


def drain_policy(config: DrainConfig) -> DrainPolicy:
    """`gateway.drain`, in seconds."""
    return DrainPolicy(notice=config.notice_ms / 1000, limit=config.timeout_ms / 1000)


def report_no_listener(host: str, port: int, error: OSError) -> int:
    """Print why nothing listens on the address. Returns the exit status."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    print(f"openclaw-gateway can't listen on {host}:{port}: {reason}", file=sys.stderr)
    return 1
