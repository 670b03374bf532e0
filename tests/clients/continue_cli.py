"""Continue's command line: `cn` with a model in `config.yaml` that is the gateway's."""

import json
from pathlib import Path
from typing import ClassVar

from tests.clients.client import CAREFUL_MODEL, MODEL, WINDOW, Client
from tests.clients.script import Call, Step

_FILE = ".continue/config.yaml"
_CAREFUL_FILE = ".continue/careful.yaml"


class ContinueCli(Client):
    """`cn --print`."""

    name: ClassVar[str] = "continue"
    package: ClassVar[str] = "@continuedev/cli"
    command: ClassVar[str] = "cn"
    counts_tokens: ClassVar[bool] = True
    api: ClassVar[str] = "openai-completions"

    async def configure(self) -> None:
        self.write(_FILE, self.documented("yaml"))
        self.write(_CAREFUL_FILE, self.documented("yaml").replace(MODEL, CAREFUL_MODEL))

    def line(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> list[str | Path]:
        continued = ["--resume"] if resume else []
        chosen: list[str | Path] = [] if model == MODEL else ["--config", self.home / _CAREFUL_FILE]
        return [self.program, "--auto", *continued, *chosen, "--print", prompt]

    def shell(self, command: str) -> Call:
        return Call("Bash", {"command": command})

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        file = str(self.work / name)
        return [
            (Call("Read", {"filepath": file}),),
            (Call("Edit", {"file_path": file, "old_string": old, "new_string": new}),),
        ]

    def add_tool_server(self) -> list[Step]:
        command, *arguments = self.tool_server_line()
        server = f"mcpServers:\n  - name: clock\n    command: {command}\n    args: {json.dumps(arguments)}\n"
        self.write(_FILE, self.documented("yaml") + server)
        return [(Call("time_of", {"city": "Oslo"}),)]

    def limit_window(self) -> None:
        window = f"    defaultCompletionOptions:\n      contextLength: {WINDOW}\n"
        self.write(_FILE, self.documented("yaml") + window)
