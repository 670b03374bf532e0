"""A gateway in a separate process, for the long programs. Its log goes to a file, and its sockets can be counted."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from procfs import rss_bytes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.e2e.process import environment  # noqa: E402
from tests.process import free_port  # noqa: E402

MEGABYTE = 2**20


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    pid: int
    port: int

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        return rss_bytes(self.pid) / MEGABYTE

    @property
    def sockets(self) -> int:
        """Open sockets."""
        folder = f"/proc/{self.pid}/fd"
        links = []
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                links.append(os.readlink(f"{folder}/{name}"))
        return sum(link.startswith("socket:") for link in links)

    async def settled(self, sockets: int, timeout: float) -> int:
        """Wait until at most `sockets` are open, at most `timeout` seconds. Returns the number of open sockets."""
        end = asyncio.get_running_loop().time() + timeout
        while (now := self.sockets) > sockets and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        return now


@asynccontextmanager
async def running(
    config: dict[str, Any], state: Path, *, address_space: int | None = None, file: Path | None = None
) -> AsyncIterator[Gateway]:
    """Start a gateway with this configuration, and stop it at the end. `address_space` limits it, in KiB. With `file`,
    the configuration is there already.
    """
    port = free_port()
    if file is None:
        file = state / "openclaw.json"
        file.write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--config", str(file)]
    if address_space is not None:
        command = ["sh", "-c", f'ulimit -v {address_space}; exec "$@"', "sh", *command]
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(state), stdout=log, stderr=log, cwd=ROOT)
        try:
            async with asyncio.timeout(180):  # a busy machine
                while True:
                    with suppress(ConnectionRefusedError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        break
                    if process.poll() is not None:
                        raise RuntimeError((state / "log").read_text())
                    await asyncio.sleep(0.05)
            yield Gateway(process.pid, port)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
