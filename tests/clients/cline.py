"""Cline's command line: `cline` with the provider that `cline auth` configures."""

import json
import shlex
from pathlib import Path
from typing import ClassVar

from tests.clients.client import MODEL, Client
from tests.clients.script import Call, Step


class Cline(Client):
    """`cline`."""

    name: ClassVar[str] = "cline"
    package: ClassVar[str] = "cline"
    command: ClassVar[str] = "cline"
    api: ClassVar[str] = "openai-completions"

    def configure(self) -> None:
        """Nothing in advance: the documented command writes it."""

    async def run(self, prompt: str, *, resume: bool = False, model: str = MODEL) -> str:
        if not (self.home / ".cline").exists():
            await self._authenticate()
        return await super().run(prompt, resume=resume, model=model)
