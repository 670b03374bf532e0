"""The set-up of a benchmark: fake provider and load generator on one core, the compared proxies on another."""

import os
import resource
import shlex
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import gateway_config
from program import BENCH, START_LIMIT, Program
from scenarios import TOKEN

GATEWAY = "{python} -m gateway serve --config {config} --port {port}"
BARE = "{python} {bench}/bare.py --port {port} --provider {provider} --token {token}"
PROVIDER = "{python} {bench}/provider.py --port {port}"
LOAD = "{python} {bench}/load.py"


def raise_open_file_limit() -> None:
    """Raise the limit of open files to the system's maximum. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cores() -> tuple[set[int], set[int]]:
    """The core for the proxies, and the other cores for everything else. A single core is shared by all."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[-1]}, set(usable[:-1] or usable)


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Testbed:
    """The fake provider, the load generator and a state directory. It starts proxies in front of the provider."""

    def __init__(self, *, redis: str | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gateway-bench-")
        self._home = Path(self._directory.name)
        self._starts = 0
        self.proxy_cores, other_cores = cores()
        os.sched_setaffinity(0, other_cores)
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._config = self._home / "openclaw.json"
        gateway_config.write(self._config, provider=self._url, redis=redis)
        self._provider = Program("provider", self._command(PROVIDER, self._port), pinned_to=other_cores)
        self.load = Program("load", self._command(LOAD, 0), pinned_to=other_cores, asked=True)

    def __enter__(self) -> Self:
        try:
            self.load.answer()
            self._await_provider()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.load.stop()
        self._provider.stop()
        self._directory.cleanup()

    def proxy(self, name: str, template: str, port: int) -> Program:
        """Start a proxy with an empty state directory, and don't wait until it serves."""
        self._starts += 1
        env = {
            "OPENCLAW_STATE_DIR": str(self._home / f"state-{self._starts}"),
            # An installed gateway starts from compiled modules; here the first start makes them.
            "PYTHONPYCACHEPREFIX": str(self._home / "compiled"),
        }
        return Program(name, self._command(template, port), pinned_to=self.proxy_cores, env=env)

    def _command(self, template: str, port: int) -> list[str]:
        values = {
            "python": sys.executable,
            "bench": str(BENCH),
            "port": str(port),
            "provider": self._url,
            "token": TOKEN,
            "config": str(self._config),
        }
        return [word.format_map(values) for word in shlex.split(template)]

    def _await_provider(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except ConnectionError:
                time.sleep(0.01)
            else:
                return
        raise self._provider.failure("does not listen")
