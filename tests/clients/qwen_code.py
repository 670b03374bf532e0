"""qwen-code: `qwen` with a model in `settings.json` that is the gateway's."""

import json
from pathlib import Path
from typing import Any, ClassVar

from tests.clients.client import CAREFUL_MODEL, MODEL, WINDOW, Client
from tests.clients.script import Call, Step

_FILE = ".qwen/settings.json"


class QwenCode(Client):
    """`qwen`."""

    name: ClassVar[str] = "qwen-code"
    package: ClassVar[str] = "@qwen-code/qwen-code"
    command: ClassVar[str] = "qwen"
    api: ClassVar[str] = "openai-completions"
    asides: ClassVar[tuple[str, ...]] = ("managed memory extraction subagent",)

    async def configure(self) -> None:
        self._change({})

    def _change(self, more: dict[str, Any], model: dict[str, Any] | None = None) -> None:
        """The documented configuration with another agent; `more` of it, and of its model."""
        configuration = json.loads(self.documented("json"))
        (main,) = configuration["modelProviders"]["openai"]
        configuration["modelProviders"]["openai"] = [main | (model or {}), main | {"id": CAREFUL_MODEL}]
        self.write(_FILE, json.dumps(configuration | more))

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        continued = ["--continue"] if resume else []
        chosen = [] if model == MODEL else ["--model", model]
        return [self.program, "--yolo", *continued, *chosen, prompt]

    def shell(self, command: str) -> Call:
        return Call("run_shell_command", {"command": command, "is_background": False})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        file = str(self.work / name)
        return [
            (Call("read_file", {"file_path": file}),),
            (Call("edit", {"file_path": file, "old_string": old, "new_string": new}),),
        ]

    def add_tool_server(self) -> list[Step]:
        command, *arguments = self.tool_server_line()
        self._change({"mcpServers": {"clock": {"command": command, "args": arguments}}})
        # A server's tools are offered by name only: the model looks one up and calls it by another tool.
        tool = "mcp__clock__time_of"
        call = Call("tool_call", {"name": tool, "arguments": {"city": "Oslo"}})
        return [(Call("tool_search", {"query": f"select:{tool}"}),), (call,)]

    def limit_window(self) -> None:
        self._change({}, {"generationConfig": {"contextWindowSize": WINDOW}})
