"""Runs real clients against a gateway and a scripted provider in each format, and prints a table for each of them.

Clients are installed by name from the registry that npm is set up for. Homes are temporary, all traffic is loopback.
A scenario that a client can't do itself is run against the provider without a gateway, where it has to fail too.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.clients.client import Client
from tests.clients.cline import Cline
from tests.clients.codex import Codex
from tests.clients.continue_cli import ContinueCli
from tests.clients.opencode import Opencode
from tests.clients.qwen_code import QwenCode
from tests.clients.scenarios import SCENARIOS
from tests.clients.script import Script
from tests.e2e.process import serving
from tests.process import free_port

TOKEN = "token-of-the-clients"
CLIENTS: dict[str, type[Client]] = {client.name: client for client in (Codex, Opencode, Cline, QwenCode, ContinueCli)}
PROVIDERS = {
    "openai-completions": ("openai-completions", False),
    "openai-completions, thinking": ("openai-completions", True),
    "openai-responses, thinking": ("openai-responses", True),
    "anthropic-messages, thinking": ("anthropic-messages", True),
}
_NODE = "22"  # some clients need it


def installed(client: type[Client], folder: Path) -> Path:
    """Install a client; its program."""
    program = folder / "node_modules" / ".bin" / client.command
    if not program.exists():
        folder.mkdir(parents=True)
        package = {"private": True, "dependencies": {client.package: "latest"}, "allowScripts": {client.package: True}}
        (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=folder, check=True)
    return program


def install_node(folder: Path) -> None:
    """Put a node that every client runs with before the others in PATH."""
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"dependencies": {"node": _NODE}, "allowScripts": {"node": True}}))
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=folder, check=True)
    os.environ["PATH"] = f"{folder / 'node_modules' / '.bin'}:{os.environ['PATH']}"


def version(client: type[Client], program: Path, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    printed = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, env=environment).stdout
    return f"{client.name} {printed.strip().splitlines()[-1].removeprefix(f'{client.name} ')}"


def configuration(api: str, url: str) -> dict[str, Any]:
    row = {"baseUrl": f"{url}/v1", "apiKey": "key", "api": api, "models": [{"id": "scripted"}, {"id": "other"}]}
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"responses": {"enabled": True}, "chatCompletions": {"enabled": True}}},
            "retry": {"maxRetries": 0},
        },
        "agents": {
            "defaults": {"model": {"primary": "scripted/scripted"}},
            "entries": {
                "main": {},
                "careful": {"model": {"primary": "scripted/scripted", "fallbacks": ["scripted/other"]}},
            },
        },
        "models": {"providers": {"scripted": row}},
    }


@asynccontextmanager
async def provided(script: Script) -> AsyncIterator[str]:
    """The scripted provider on a port of its own."""
    runner = web.AppRunner(script.app(), handler_cancellation=False)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


Scenario = Callable[[Client], Awaitable[None]]


async def problem(scenario: Scenario, client: Client) -> str | None:
    """What goes wrong in a scenario."""
    try:
        await client.prepare()
        await scenario(client)
    except AssertionError as error:
        return f"{error} {client.script.refused or ''}"
    finally:
        await client.stop()
    return f"the provider refused {client.script.refused}" if client.script.refused else None


async def through_the_gateway(
    scenario: Scenario, client: type[Client], program: Path, provider: str, folder: Path
) -> str | None:
    api, thinks = PROVIDERS[provider]
    script = Script(thinks=thinks)
    state = folder / "state"
    state.mkdir(parents=True)
    async with provided(script) as url, serving(state, configuration(api, url)) as gateway:
        return await problem(scenario, client(program, folder / "home", gateway.url, TOKEN, script))


async def directly(scenario: Scenario, client: type[Client], program: Path, folder: Path, *, thinks: bool) -> str | None:
    script = Script(thinks=thinks)
    async with provided(script) as url:
        return await problem(scenario, client(program, folder / "direct", url, TOKEN, script))


async def outcome(scenario: Scenario, client: type[Client], program: Path, provider: str, folder: Path) -> str:
    """Whether a scenario passes: "ok", "-" if the client itself can't do it, or what went wrong."""
    thinks = PROVIDERS[provider][1]
    if reason := client.unable.get(scenario.__name__):
        if await directly(scenario, client, program, folder, thinks=False) is None:
            return f"FAILED: passes without a gateway, although: {reason}"
        return "-"
    failure = await through_the_gateway(scenario, client, program, provider, folder)
    if failure is None:
        return "ok"
    control = await directly(scenario, client, program, folder, thinks=thinks)
    return f"FAILED: {failure} (without a gateway: {control or 'ok'})"


async def table(client: type[Client], folder: Path, options: argparse.Namespace) -> int:
    """Print the table of a client; the number of failures."""
    program = options.program or installed(client, (options.folder or folder) / client.name)
    failures = 0
    print(f"\n| {version(client, program, folder)} | {' | '.join(PROVIDERS)} |")  # noqa: T201  the command's output
    print(f"|---|{'---|' * len(PROVIDERS)}")  # noqa: T201
    for number, scenario in enumerate(SCENARIOS):
        if options.only and options.only not in scenario.__name__:
            continue
        results = []
        for index, provider in enumerate(PROVIDERS):
            if options.provider and options.provider not in provider:
                results.append("")
                continue
            results.append(await outcome(scenario, client, program, provider, folder / f"{client.name}{number}-{index}"))
        failures += sum(result.startswith("FAILED") for result in results)
        print(f"| {scenario.__name__} | {' | '.join(results)} |", flush=True)  # noqa: T201
    for name, reason in client.unable.items():
        print(f"{name}: {reason}")  # noqa: T201
    return failures


async def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("clients", nargs="*", choices=[[], *CLIENTS], help="all of them if none is named")
    arguments.add_argument("--only", help="run scenarios with this in their name")
    arguments.add_argument("--provider", help="run providers with this in their name")
    arguments.add_argument("--folder", type=Path, help="where clients are installed, to be used again; else temporary")
    arguments.add_argument("--program", type=Path, help="a client that is installed already")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        install_node((options.folder or Path(temporary)) / "node")
        failures = [await table(CLIENTS[name], Path(temporary), options) for name in options.clients or CLIENTS]
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
