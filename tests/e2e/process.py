"""A gateway in a process of its own, as users run it; gone at the end in every case."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 20.0  # seconds for a start on a busy machine, and for an end

# What a developer's machine may have set and a test must not see.
_HIDDEN = ("OPENCLAW_", "OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def environment(state: Path) -> dict[str, str]:
    """This process's environment without keys, proxies or the developer's own gateway; state goes to `state`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_HIDDEN) and not name.endswith(("_API_KEY", "_TOKEN"))
    }
    return kept | {"OPENCLAW_STATE_DIR": str(state), "HOME": str(state)}


def free_port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


class Process:
    """A started `python -m gateway …`; `output` and `errors` are all that it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.output = ""
        self.errors = ""
        self._news = asyncio.Condition()
        self._open = {"output", "errors"}
        self._readers = asyncio.gather(self._read(process.stdout, "output"), self._read(process.stderr, "errors"))

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def said(self, text: str) -> None:
        """Wait until `text` was written to either stream. Fails when the process ends without it."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: text in self.output or text in self.errors or not self._open)
        assert text in self.output + self.errors, f"ended without saying {text!r}: {self.output}{self.errors}"

    async def wrote(self) -> None:
        """Wait for the first output."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self.output or not self._open)
        assert self.output, f"ended without output: {self.errors}"

    async def ended(self) -> int:
        """Wait for its end and its last words; the exit status."""
        async with asyncio.timeout(PATIENCE):
            status = await self._process.wait()
            await self._readers
        return status

    async def stop(self) -> None:
        """Ask it to end, as an operator would, and force it when it doesn't."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            await self.ended()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._readers

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while piece := await stream.read(2**16):
            async with self._news:
                setattr(self, name, getattr(self, name) + piece.decode(errors="replace"))
                self._news.notify_all()
        async with self._news:
            self._open.discard(name)
            self._news.notify_all()


@asynccontextmanager
async def started(*arguments: str, state: Path) -> AsyncIterator[Process]:
    """`python -m gateway` with these arguments, stopped at the end."""
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            *arguments,
            env=environment(state),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )
    try:
        yield process
    finally:
        await process.stop()


@dataclass(frozen=True)
class Gateway:
    """A gateway that is ready; `url` is its root."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(state: Path, config: dict[str, Any] | None) -> AsyncIterator[Gateway]:
    """A ready gateway with this configuration; None lets it write a first one."""
    port = free_port()
    arguments = ["serve", "--port", str(port)]
    if config is not None:
        file = state / "gateway.json5"
        file.write_text(json.dumps(config), encoding="utf-8")
        arguments += ["--config", str(file)]
    async with started(*arguments, state=state) as process:
        await process.said("listening")
        gateway = Gateway(process, port)
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/readyz") as response:
            assert response.status == 200, await response.text()
        yield gateway
