"""opencode: `opencode run` with a provider in `opencode.json` that is the gateway."""

import json
from pathlib import Path
from typing import Any, ClassVar

from tests.clients.client import CAREFUL_MODEL, MODEL, WINDOW, Client
from tests.clients.script import Call, Step

_FILE = ".config/opencode/opencode.json"


class Opencode(Client):
    """`opencode run`."""

    name: ClassVar[str] = "opencode"
    package: ClassVar[str] = "opencode-ai"
    command: ClassVar[str] = "opencode"
    api: ClassVar[str] = "openai-completions"
    asides: ClassVar[tuple[str, ...]] = ("You are a title generator",)

    async def configure(self) -> None:
        self._change({})

    def _change(self, more: dict[str, Any], model: dict[str, Any] | None = None) -> None:
        """The documented configuration with another agent; `more` of it, and of a model."""
        configuration = json.loads(self.documented("json"))
        models = configuration["provider"]["openclaw"]["models"]
        models[CAREFUL_MODEL] = {}
        models[MODEL] |= model or {}
        self.write(_FILE, json.dumps(configuration | more))

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        continued = ["--continue"] if resume else []
        chosen = [] if model == MODEL else ["--model", f"openclaw/{model}"]
        return [self.program, "run", *continued, *chosen, prompt]

    def shell(self, command: str) -> Call:
        return Call("bash", {"command": command, "description": "Runs a command"})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        file = str(self.work / name)
        return [
            (Call("read", {"filePath": file}),),
            (Call("edit", {"filePath": file, "oldString": old, "newString": new}),),
        ]

    def add_tool_server(self) -> list[Step]:
        self._change({"mcp": {"clock": {"type": "local", "command": self.tool_server_line(), "enabled": True}}})
        return [(Call("clock_time_of", {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        self._change({}, {"limit": {"context": WINDOW, "output": 1000}})
