"""The OpenAI Agents SDK: a small program with a shell tool, a session and a tool server."""

import shutil
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.clients.client import MODEL, Client
from tests.clients.script import Call, Step

_PROGRAM = Path(__file__).with_name("agents_program.py")


class OpenaiAgents(Client):
    """`python agents_program.py`."""

    name: ClassVar[str] = "openai-agents"
    package: ClassVar[str] = "openai-agents"
    api: ClassVar[str] = "openai-responses"
    unable: ClassVar[Mapping[str, str]] = {"compaction": "the SDK leaves it to its programs"}

    @classmethod
    def install(cls, folder: Path) -> None:
        python = cls.installed(folder)
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", cls.package], check=True)

    @classmethod
    def installed(cls, folder: Path) -> Path:
        return folder / "bin" / "python"

    @classmethod
    def version(cls, program: Path, _home: Path) -> str:
        code = f"from importlib.metadata import version; print(version({cls.package!r}))"
        return subprocess.run([program, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    async def configure(self) -> None:
        self.write("work/openclaw.py", self.documented("python"))
        shutil.copy(_PROGRAM, self.work)

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        del resume  # its session is that of the working folder
        server = ["--tool-server", *self.tool_server_line()] if (self.home / "with_tool_server").exists() else []
        return [self.program, _PROGRAM.name, prompt, "--model", model, *server]

    def shell(self, command: str) -> Call:
        return Call("shell", {"command": command})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        return [(self.shell(f"sed -i s/{old}/{new}/ {name}"),)]

    def add_tool_server(self) -> list[Step]:
        self.write("with_tool_server", "")
        return [(Call("time_of", {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        """It has no such setting."""
