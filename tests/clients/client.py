"""What the scenarios need of a client: how it is installed, configured, started, and what its own tools are called."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.clients.script import Call, Script, Step

MODEL = "openclaw/main"
CAREFUL_MODEL = "openclaw/careful"
"""The agent with a fallback and with tools that the gateway runs."""
MAX_WAIT = 900.0
"""Seconds for a client to end that repeats its requests as often as it does by default, on a busy machine: a deadline
against a hang."""
WINDOW = 100_000
"""The context window of the model, in tokens, for a client that is to compact a conversation."""

_PAGES = Path(__file__).parents[2] / "docs" / "clients"
_DOCUMENTED_URL = "http://127.0.0.1:18789"
_TOKEN_VARIABLE = "OPENCLAW_GATEWAY_TOKEN"
TOOL_SERVER = Path(__file__).with_name("tool_server.py")
# Whatever a client wants from the internet fails at once.
_NO_INTERNET = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


@dataclass(frozen=True)
class Client(ABC):
    """One installation with a home and a working folder of its own."""

    program: Path
    home: Path
    url: str
    token: str
    script: Script

    name: ClassVar[str]
    """Of the client, of its page and of its file here."""
    package: ClassVar[str]
    command: ClassVar[str] = ""
    """The name of its program."""
    api: ClassVar[str]
    """The format that it speaks."""
    unable: ClassVar[Mapping[str, str]] = {}
    """Why the client itself can't do a scenario, by the scenario's name."""
    scenarios: ClassVar[tuple["Scenario", ...]] = ()
    """Its own scenarios, beside those of every client."""
    counts_tokens: ClassVar[bool] = False
    """Whether it estimates the length of a conversation itself instead of reading the usage."""
    runs_in_parallel: ClassVar[bool] = True
    """Whether several of it with different homes don't disturb each other."""
    asides: ClassVar[tuple[str, ...]] = ()
    """Words in its requests that are no part of the conversation, such as those for a title."""

    @classmethod
    def install(cls, folder: Path) -> None:
        """Install the newest version."""
        npm_install(cls.package, folder)

    @classmethod
    def installed(cls, folder: Path) -> Path:
        """The program of an installation in this folder."""
        return folder / "node_modules" / ".bin" / cls.command

    @classmethod
    def version(cls, program: Path, home: Path) -> str:
        """What the program says its version is."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        printed = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, env=environment)
        return next(word for word in printed.stdout.split() if word[0].isdigit())

    @property
    def work(self) -> Path:
        return self.home / "work"

    async def prepare(self) -> None:
        """An empty home with the documented configuration."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.script.asides = self.asides
        await self.configure()

    def documented(self, language: str) -> str:
        """The page's first block in this language, with the address of this gateway."""
        page = (_PAGES / f"{self.name}.md").read_text(encoding="utf-8")
        block = re.search(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        assert block is not None, f"{self.name}.md has no block of {language}"
        assert _DOCUMENTED_URL in block[1], f"{self.name}.md names another address"
        return block[1].replace(_DOCUMENTED_URL, self.url)

    def write(self, name: str, text: str) -> None:
        """A file in the home."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), _TOKEN_VARIABLE: self.token, **_NO_INTERNET}

    async def start(self, *command: str | Path) -> asyncio.subprocess.Process:
        """The client, or another program with its environment."""
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.work,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def execute(self, *command: str | Path) -> str:
        """What a command prints. Raises AssertionError if it fails."""
        status, text = await self.end_of(*command)
        assert status == 0, f"{self.name} ended with {status}: {text[-2000:]}"
        return text

    async def end_of(self, *command: str | Path) -> tuple[int, str]:
        """The exit status of a command and what it prints. Raises AssertionError if it does not end."""
        process = await self.start(*command)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), MAX_WAIT)
        except TimeoutError:
            raise AssertionError(f"{self.name} did not end in {MAX_WAIT:.0f} seconds") from None
        finally:
            if process.returncode is None:
                kill(process)
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace")

    async def run(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> str:
        """What the client prints for a prompt, in its last session if `resume`."""
        return await self.execute(*self.line(prompt, resume=resume, model=model))

    def tool_server_line(self) -> list[str]:
        """The command of the tool server."""
        return [sys.executable, str(TOOL_SERVER), str(self.work / "started")]

    @abstractmethod
    async def configure(self) -> None:
        """Write the documented configuration."""

    @abstractmethod
    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        """The command line for a prompt."""

    @abstractmethod
    def shell(self, command: str) -> Call:
        """The call of the client's tool that runs a shell command."""

    @abstractmethod
    def edit(self, name: str, old: str, new: str) -> list[Step]:
        """The answers that lead to an edit of a file in the working folder."""

    @abstractmethod
    def add_tool_server(self) -> list[Step]:
        """Configure the tool server; the answers that lead to the call `time_of(city="Oslo")`."""

    @abstractmethod
    def limit_window(self) -> None:
        """Configure WINDOW as the context window of the model."""

    def leftover(self) -> list[str | Path]:
        """The command that stops what the client left running; empty if nothing is."""
        return []


Scenario = Callable[[Client], Awaitable[str | None]]
"""What a client is to do. It raises AssertionError if that goes wrong.

A result is how a failure ended: it must be the same without the gateway, at a provider of the client's own format.
"""


def npm_install(package: str, folder: Path, version: str = "latest") -> None:
    """Install a package, with the scripts of its own that it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"private": True, "allowScripts": {package: True}}
    (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    quiet = ["--no-audit", "--no-fund", "--loglevel", "error"]
    subprocess.run(["npm", "install", *quiet, f"{package}@{version}"], cwd=folder, check=True, stdout=sys.stderr)


def interrupt(process: asyncio.subprocess.Process) -> None:
    """What Ctrl-C does: it reaches the client and the processes that it started."""
    os.killpg(process.pid, signal.SIGINT)


def kill(process: asyncio.subprocess.Process) -> None:
    """End a client and the processes that it started."""
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)
