"""Claude Code: `claude --print` with the documented environment."""

import json
from pathlib import Path
from typing import ClassVar

from tests.clients.claude_scenarios import SCENARIOS
from tests.clients.client import MODEL, WINDOW, Client, Scenario
from tests.clients.script import Call, Step

_TOOL = "mcp__clock__time_of"
_SERVERS = "servers.json"


class ClaudeCode(Client):
    """`claude --print`."""

    name: ClassVar[str] = "claude-code"
    package: ClassVar[str] = "@anthropic-ai/claude-code"
    command: ClassVar[str] = "claude"
    api: ClassVar[str] = "anthropic-messages"

    scenarios: ClassVar[tuple[Scenario, ...]] = SCENARIOS

    async def configure(self) -> None:
        """Everything is in the environment."""
        self._export({})
        self.write(_SERVERS, '{"mcpServers": {}}')

    def environment(self) -> dict[str, str]:
        return super().environment() | {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        start: list[str | Path] = ["sh", "-c", '. ../environment.sh; exec "$@"', "sh", self.program]
        chosen = [] if model == MODEL else ["--model", model]
        servers = ["--mcp-config", str(self.home / _SERVERS)]
        allowed = ["--allowedTools", "Bash", "Read", "Edit", _TOOL]
        return [*start, *(["--continue"] if resume else []), *chosen, "--print", prompt, *servers, *allowed]

    def shell(self, command: str) -> Call:
        return Call("Bash", {"command": command, "description": "Runs a command"})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        file = str(self.work / name)
        return [
            (Call("Read", {"file_path": file}),),
            (Call("Edit", {"file_path": file, "old_string": old, "new_string": new}),),
        ]

    def add_tool_server(self) -> list[Step]:
        command, *arguments = self.tool_server_line()
        self.write(_SERVERS, json.dumps({"mcpServers": {"clock": {"command": command, "args": arguments}}}))
        # A server's tools are offered by name only, until the model has looked them up.
        return [(Call("ToolSearch", {"query": f"select:{_TOOL}", "max_results": 1}),), (Call(_TOOL, {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        self._export({"CLAUDE_CODE_AUTO_COMPACT_WINDOW": WINDOW})

    def _export(self, more: dict[str, int]) -> None:
        """Write the documented environment, and more."""
        lines = "".join(f"export {name}={value}\n" for name, value in more.items())
        self.write("environment.sh", self.documented("sh").removesuffix("claude\n") + lines)
