"""Real servers for tests: Redis and nginx."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.process import Process, free_port, running, start
from tests.programs import nginx_program, redis_program


class Redis:
    """A redis-server with its own port and directory; `restart` keeps both."""

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
        """Start it and wait until it answers. Data that `appendonly` wrote is there again."""
        file = self._directory / "redis.conf"
        file.write_text("".join(f"{key} {value}\n" for key, value in self._settings.items()), encoding="utf-8")
        self._process = await start(redis_program(), str(file), directory=self._directory)
        try:
            await self._process.wait_for_output("Ready to accept connections")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it, even if frozen. The port is closed afterwards."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    async def kill(self) -> None:
        """Kill it, as a power cut would."""
        process, self._process = self.process, None
        process.signal(signal.SIGKILL)
        await process.ended()

    async def restart(self) -> None:
        """Stop and start it: empty, unless `appendonly` or `save` is set."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Freeze it: the kernel still accepts connections, but nothing answers."""
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self.process.signal(signal.SIGCONT)

    async def ask(self, *command: str | float) -> Any:
        """Run one command on a new connection, without retries. Returns redis-py's result."""
        never = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis(port=self.port, decode_responses=True, retry=never) as client:
            return await client.execute_command(*command)

    async def flush(self) -> None:
        """Delete all keys."""
        await self.ask("FLUSHALL")


@asynccontextmanager
async def redis_server(directory: Path, **settings: str) -> AsyncIterator[Redis]:
    """A real, empty Redis. `settings` are lines of its redis.conf, with `_` for `-`: `maxmemory="2mb"`,
    `appendonly="yes"`, `replicaof="127.0.0.1 6379"`. It writes to `directory` only if configured to.
    """
    server = Redis(directory, {name.replace("_", "-"): value for name, value in settings.items()})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def nginx(directory: Path, config: str) -> AsyncIterator[Process]:
    """A ready nginx with this `nginx.conf`. It writes below `directory` only.

    The file must not set `daemon`, `pid` or `user`; its temporary paths must be below the prefix or not be named.
    """
    (directory / "nginx.conf").write_text(config, encoding="utf-8")
    main = f"daemon off; pid {directory}/nginx.pid; error_log stderr notice;"
    if os.getuid() == 0:
        main += " user root;"  # or the workers could not write to `directory`
    command = [nginx_program(), "-p", f"{directory}/", "-c", "nginx.conf", "-e", "stderr", "-g", main]
    async with running(command, directory=directory) as process:
        await process.wait_for_output("start worker process ")
        yield process
