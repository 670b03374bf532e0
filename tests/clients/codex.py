"""The Codex CLI: its own default settings, with a provider in `config.toml` that is the gateway."""

import json
from pathlib import Path
from typing import ClassVar

from tests.clients.client import MODEL, WINDOW, Client
from tests.clients.script import Call, Say, Step

_FILE = ".codex/config.toml"


class Codex(Client):
    """`codex exec`."""

    name: ClassVar[str] = "codex"
    package: ClassVar[str] = "@openai/codex"
    command: ClassVar[str] = "codex"
    api: ClassVar[str] = "openai-responses"

    async def configure(self) -> None:
        self.write(_FILE, self.documented("toml"))

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        chosen = [] if model == MODEL else ["-c", f'model="{model}"']
        return [self.program, "exec", *(["resume", "--last"] if resume else []), *free, *chosen, prompt]

    def shell(self, command: str) -> Call:
        return Call("exec_command", {"cmd": command})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        patch = f"*** Begin Patch\n*** Update File: {name}\n@@\n-{old}\n+{new}\n*** End Patch\n"
        return [(Say("I'll edit it."), self.shell(f"apply_patch <<'EOF'\n{patch}EOF"))]

    def add_tool_server(self) -> list[Step]:
        command, *arguments = self.tool_server_line()
        server = f"\n[mcp_servers.clock]\ncommand = {json.dumps(command)}\nargs = {json.dumps(arguments)}\n"
        self.write(_FILE, self.documented("toml") + server)
        # Codex offers the tools of a server from the second request on: it does not wait until the server has started.
        wait = self.shell("until [ -e started ]; do sleep 0.2; done; sleep 3")
        return [(wait,), (Call("time_of", {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        self.write(_FILE, f"model_auto_compact_token_limit = {WINDOW // 2}\n" + self.documented("toml"))
