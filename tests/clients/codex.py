"""The Codex CLI: its own default settings, with a provider in `config.toml` that is the gateway."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.script import Call, Fail, Hang, Say, Script

PACKAGE = "@openai/codex"

_PAGE = Path(__file__).parents[2] / "docs" / "clients" / "codex.md"
_DOCUMENTED_URL = "http://127.0.0.1:18789"
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Codex:
    """One installation with a home and a working folder of its own."""

    program: Path
    home: Path
    url: str
    token: str
    script: Script

    @property
    def work(self) -> Path:
        return self.home / "work"

    def prepare(self, more: str = "") -> None:
        """An empty home with the documented configuration."""
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / ".codex").mkdir(parents=True)
        self.work.mkdir()
        documented = _PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
        assert _DOCUMENTED_URL in documented
        config = documented.replace(_DOCUMENTED_URL, self.url) + more
        (self.home / ".codex" / "config.toml").write_text(config, encoding="utf-8")

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "OPENCLAW_GATEWAY_TOKEN": self.token}
        return await asyncio.create_subprocess_exec(
            self.program,
            "exec",
            *arguments,
            cwd=self.work,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *arguments: str) -> str:
        """What Codex prints. Raises AssertionError if it fails."""
        process = await self.start(*arguments)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT)
        except TimeoutError:
            process.kill()
            raise AssertionError("Codex did not end in time") from None
        text = output.decode(errors="replace")
        assert process.returncode == 0, text[-2000:]
        return text


_FREE = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")


def _history(script: Script) -> str:
    return str(script.asked[-1].get("messages") or script.asked[-1].get("input"))


async def text(codex: Codex) -> None:
    codex.script.steps = [(Say("Hello from the script."),)]
    assert "Hello from the script." in await codex.run(*_FREE, "say hello")


async def shell_loop(codex: Codex) -> None:
    commands = ["echo one > a.txt", "echo two >> a.txt", "cat a.txt"]
    codex.script.steps = [*((Call("exec_command", {"cmd": command}),) for command in commands), (Say("Finished."),)]
    assert "Finished." in await codex.run(*_FREE, "count")
    assert (codex.work / "a.txt").read_text(encoding="utf-8") == "one\ntwo\n"
    assert "one\\ntwo" in _history(codex.script).replace("\n", "\\n").replace("\\\\n", "\\n")
    assert len(codex.script.asked) == 4


async def edit(codex: Codex) -> None:
    (codex.work / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+three\n*** End Patch\n"
    codex.script.steps = [
        (Say("I'll edit it."), Call("exec_command", {"cmd": f"apply_patch <<'EOF'\n{patch}EOF"})),
        (Say("Edited."),),
    ]
    assert "Edited." in await codex.run(*_FREE, "edit a.txt")
    assert (codex.work / "a.txt").read_text(encoding="utf-8") == "one\nthree\n"


async def parallel(codex: Codex) -> None:
    calls = tuple(Call("exec_command", {"cmd": f"echo {name} > {name}.txt"}) for name in ("a", "b", "c"))
    codex.script.steps = [calls, (Say("All three."),)]
    assert "All three." in await codex.run(*_FREE, "write three files")
    assert [(codex.work / f"{name}.txt").read_text(encoding="utf-8") for name in "abc"] == ["a\n", "b\n", "c\n"]


async def resume(codex: Codex) -> None:
    codex.script.steps = [(Call("exec_command", {"cmd": "echo 4711"}),), (Say("The number is 4711."),)]
    await codex.run(*_FREE, "what is the number?")
    codex.script.steps = [(Say("As I returned: 4711."),)]
    assert "As I returned: 4711." in await codex.run("resume", "--last", *_FREE, "again?")
    assert "The number is 4711." in _history(codex.script)


async def own_tool_server(codex: Codex) -> None:
    server = Path(__file__).with_name("tool_server.py")
    python, started = sys.executable, codex.work / "started"
    codex.prepare(f'\n[mcp_servers.clock]\ncommand = "{python}"\nargs = ["{server}", "{started}"]\n')
    # Codex offers the tools of a server from the second request on: it does not wait until the server has started.
    wait = Call("exec_command", {"cmd": "until [ -e started ]; do sleep 0.2; done; sleep 3"})
    codex.script.steps = [(wait,), (Call("time_of", {"city": "Oslo"}),), (Say("It is noon."),)]
    assert "It is noon." in await codex.run(*_FREE, "what time is it in Oslo?")
    assert "noon in Oslo" in _history(codex.script)


async def compaction(codex: Codex) -> None:
    codex.script.steps = [(Say("The first answer."),), (Say("The summary: a first question was answered."),)]
    limit = ("-c", "model_auto_compact_token_limit=50")
    await codex.run(*_FREE, *limit, "first question")
    codex.script.steps = [(Say("The summary: a first question was answered."),), (Say("The second answer."),)]
    assert "The second answer." in await codex.run("resume", "--last", *_FREE, *limit, "second question")
    assert "The summary" in _history(codex.script)


async def fallback(codex: Codex) -> None:
    codex.script.steps = [(Fail(500),), (Say("From the fallback."),)]
    assert "From the fallback." in await codex.run(*_FREE, "-c", 'model="openclaw/careful"', "hello")


async def cancel(codex: Codex) -> None:
    codex.script.steps = [(Hang("It goes on and on"),)]
    process = await codex.start(*_FREE, "talk")
    try:
        async with asyncio.timeout(_TIMEOUT):
            while not codex.script.asked:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGINT)
            await process.communicate()
            while not codex.script.aborted:
                await asyncio.sleep(0.05)
    finally:
        if process.returncode is None:
            process.kill()


SCENARIOS: tuple[Callable[[Codex], Awaitable[None]], ...] = (
    text,
    shell_loop,
    edit,
    parallel,
    resume,
    own_tool_server,
    compaction,
    fallback,
    cancel,
)
