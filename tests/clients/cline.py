"""Cline's command line: `cline` with the provider that `cline auth` configures."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.clients.client import MODEL, WINDOW, Client
from tests.clients.script import Call, Step

_PROVIDERS = ".cline/data/settings/providers.json"
_TOOL_SERVERS = ".cline/data/settings/cline_mcp_settings.json"


class Cline(Client):
    """`cline`."""

    name: ClassVar[str] = "cline"
    package: ClassVar[str] = "cline"
    command: ClassVar[str] = "cline"
    api: ClassVar[str] = "openai-completions"
    unable: ClassVar[Mapping[str, str]] = {"resume": "Cline continues a session in a terminal only, not with a prompt"}

    async def configure(self) -> None:
        await self.execute("sh", "-c", self.documented("sh"))

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PATH": f"{self.program.parent}:{os.environ['PATH']}"}

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        continued = ["--id", self._last_session()] if resume else []
        return [self.program, *continued, "--model", model, prompt]

    def _last_session(self) -> str:
        return max(folder.name for folder in (self.home / ".cline/data/sessions").iterdir())

    def shell(self, command: str) -> Call:
        return Call("run_commands", {"commands": [command]})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        return [(Call("editor", {"path": str(self.work / name), "old_text": old, "new_text": new}),)]

    def add_tool_server(self) -> list[Step]:
        command, *arguments = self.tool_server_line()
        # A busy machine takes longer than the three seconds that Cline waits for a server.
        server = {"transport": {"type": "stdio", "command": command, "args": arguments}, "timeout": 60}
        self.write(_TOOL_SERVERS, json.dumps({"mcpServers": {"clock": server}}))
        return [(Call("time_of", {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        configuration = json.loads((self.home / _PROVIDERS).read_text(encoding="utf-8"))
        for provider in configuration["providers"].values():
            provider["settings"]["contextWindow"] = WINDOW
        self.write(_PROVIDERS, json.dumps(configuration))

    def leftover(self) -> list[str | Path]:
        return [self.program, "hub", "stop"]
