"""Open WebUI: `open-webui serve` with the documented environment, asked through the API that its page uses."""

import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.clients.client import MODEL, Client, Scenario
from tests.clients.scenarios import history_of
from tests.clients.script import Call, Say, Step

_PROGRAM = Path(__file__).with_name("open_webui_program.py")
_ROOT = Path(__file__).parents[2]
_COMMAND = "open-webui serve\n"
# For embeddings and speech of its own: three gigabytes that a chat does not need.
_LEFT_OUT = ("torch", "transformers", "sentence-transformers", "accelerate", "faster-whisper", "opencv-python-headless")
_NO_TOOLS = "it has no shell and no files of its own"


async def conversation(client: Client) -> None:
    client.script.steps = [(Say("The number is 4711."),), (Say("As I returned: 4711."),)]
    await client.run("what is the number?")
    assert "As I returned: 4711." in await client.run("and again?", resume=True)
    assert "The number is 4711." in history_of(client)


class OpenWebui(Client):
    """`open-webui serve`, and a program in place of the page in a browser."""

    name: ClassVar[str] = "open-webui"
    package: ClassVar[str] = "open-webui"
    api: ClassVar[str] = "openai-completions"
    unable: ClassVar[Mapping[str, str]] = {
        "shell_loop": _NO_TOOLS,
        "edit": _NO_TOOLS,
        "parallel": _NO_TOOLS,
        "resume": f"{_NO_TOOLS}; `conversation` continues a chat",
        "own_tool_server": "it reads tool servers over HTTP only",
        "compaction": "it always sends the whole conversation",
    }
    scenarios: ClassVar[tuple[Scenario, ...]] = (conversation,)

    @classmethod
    def install(cls, folder: Path) -> None:
        if not (folder / "bin" / "python").exists():
            venv.create(folder)
        left_out = folder / "left_out.txt"
        left_out.write_text("".join(f'{name}; sys_platform == "never"\n' for name in _LEFT_OUT), encoding="utf-8")
        uv = Path(sys.executable).with_name("uv")
        python = ["--python", folder / "bin" / "python", "--override", left_out]
        subprocess.run([uv, "pip", "install", "--quiet", "--upgrade", *python, cls.package, "numpy"], check=True)

    @classmethod
    def installed(cls, folder: Path) -> Path:
        return folder / "bin" / "open-webui"

    @classmethod
    def version(cls, program: Path, _home: Path) -> str:
        code = f"from importlib.metadata import version; print(version({cls.package!r}))"
        python = program.with_name("python")
        return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    async def configure(self) -> None:
        """Everything is in the environment."""

    def environment(self) -> dict[str, str]:
        own = {
            "PYTHONPATH": str(_ROOT),
            "WEBUI_AUTH": "False",
            "WEBUI_SECRET_KEY": "secret",
            "OFFLINE_MODE": "True",
            "ENABLE_OLLAMA_API": "False",
            "RAG_EMBEDDING_ENGINE": "openai",
        }
        return super().environment() | own

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        del resume  # its chat is in the home
        command = self.documented("sh")
        assert command.endswith(_COMMAND)
        start: list[str | Path] = ["sh", "-c", f'exec env {command.removesuffix(_COMMAND)} "$@"', "sh"]
        return [*start, sys.executable, _PROGRAM, self.program, self.home / "data", prompt, model]

    def shell(self, command: str) -> Call:
        raise AssertionError(f"{_NO_TOOLS}: {command}")

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        raise AssertionError(f"{_NO_TOOLS}: {name}, {old}, {new}")

    def add_tool_server(self) -> list[Step]:
        raise AssertionError("it reads tool servers over HTTP only")

    def limit_window(self) -> None:
        raise AssertionError("it always sends the whole conversation")
