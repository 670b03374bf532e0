"""Runs real clients against a gateway and a scripted provider in each format, and prints a table for each of them.

Clients are installed by name from the registry that npm is set up for. Homes are temporary, all traffic is loopback.
A scenario that a client can't do itself is run against the provider without a gateway, where it has to fail too.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.clients.claude_code import ClaudeCode
from tests.clients.client import TOOL_SERVER, Client, npm_install
from tests.clients.cline import Cline
from tests.clients.codex import Codex
from tests.clients.continue_cli import ContinueCli
from tests.clients.openai_agents import OpenaiAgents
from tests.clients.opencode import Opencode
from tests.clients.qwen_code import QwenCode
from tests.clients.scenarios import SCENARIOS
from tests.clients.script import Script
from tests.e2e.process import serving
from tests.process import free_port

TOKEN = "token-of-the-clients"
CLIENTS: dict[str, type[Client]] = {
    client.name: client for client in (Codex, Opencode, Cline, QwenCode, ContinueCli, ClaudeCode, OpenaiAgents)
}
PROVIDERS = {
    "openai-completions": ("openai-completions", False),
    "openai-completions, thinking": ("openai-completions", True),
    "openai-responses, thinking": ("openai-responses", True),
    "anthropic-messages, thinking": ("anthropic-messages", True),
}
_ENDPOINTS = {
    "openai-completions": "chatCompletions",
    "openai-responses": "responses",
    "anthropic-messages": "messages",
}
_NODE = "22"  # some clients need it


def configuration(client_api: str, api: str, url: str) -> dict[str, Any]:
    """Of a gateway for clients of one format and a provider of another."""
    row = {"baseUrl": f"{url}/v1", "apiKey": "key", "api": api, "models": [{"id": "scripted"}, {"id": "other"}]}
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {_ENDPOINTS[client_api]: {"enabled": True}}},
            "retry": {"maxRetries": 0},
        },
        "agents": {
            "defaults": {"model": {"primary": "scripted/scripted"}},
            "entries": {
                "main": {"tools": {"deny": ["*"]}},
                "careful": {"model": {"primary": "scripted/scripted", "fallbacks": ["scripted/other"]}},
            },
        },
        "mcp": {"servers": {"clock": {"command": sys.executable, "args": [str(TOOL_SERVER)]}}},
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
        if leftover := client.leftover():
            await client.execute(*leftover)
    return f"the provider refused {client.script.refused}" if client.script.refused else None


async def through_the_gateway(
    scenario: Scenario, client: type[Client], program: Path, provider: str, folder: Path
) -> str | None:
    api, thinks = PROVIDERS[provider]
    script = Script(thinks=thinks)
    state = folder / "state"
    state.mkdir(parents=True)
    async with provided(script) as url, serving(state, configuration(client.api, api, url)) as gateway:
        return await problem(scenario, client(program, folder / "home", gateway.url, TOKEN, script))


async def directly(
    scenario: Scenario, client: type[Client], program: Path, folder: Path, *, thinks: bool
) -> str | None:
    script = Script(thinks=thinks)
    async with provided(script) as url:
        return await problem(scenario, client(program, folder / "direct", url, TOKEN, script))


async def outcome(scenario: Scenario, client: type[Client], program: Path, provider: str, folder: Path) -> str:
    """Whether a scenario passes: "ok", or what went wrong, and whether that is so without the gateway too."""
    failure = await through_the_gateway(scenario, client, program, provider, folder)
    if failure is None:
        return "ok"
    control = await directly(scenario, client, program, folder, thinks=PROVIDERS[provider][1])
    return f"FAILED: {failure} (without a gateway: {control or 'ok'})"


async def row(scenario: Scenario, client: type[Client], program: Path, folder: Path, providers: list[str]) -> list[str]:
    """The outcomes of a scenario; "-" if the client itself can't do it, which is proven."""
    if scenario.__name__ in client.unable:
        failure = await directly(scenario, client, program, folder, thinks=False)
        return ["-" if failure else "FAILED: passes without a gateway, although it is marked"] * len(providers)
    return [
        await outcome(scenario, client, program, provider, folder / str(index))
        for index, provider in enumerate(providers)
    ]


async def table(client: type[Client], folder: Path, options: argparse.Namespace) -> int:
    """Print the table of a client; the number of failures."""
    program = options.program or client.install((options.folder or folder) / client.name)
    providers = [provider for provider in PROVIDERS if options.provider in provider]
    print(f"\n| {client.name} {client.version(program, folder)} | {' | '.join(providers)} |")  # noqa: T201  the output
    print(f"|---|{'---|' * len(providers)}")  # noqa: T201
    failures = 0
    for scenario in SCENARIOS:
        if options.only in scenario.__name__:
            results = await row(scenario, client, program, folder / client.name / scenario.__name__, providers)
            failures += sum(result.startswith("FAILED") for result in results)
            print(f"| {scenario.__name__} | {' | '.join(results)} |", flush=True)  # noqa: T201
    for name, reason in client.unable.items():
        print(f"{name}: {reason}")  # noqa: T201
    return failures


async def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "clients",
        nargs="*",
        choices=[[], *CLIENTS],
        metavar="CLIENT",
        help=f"{', '.join(CLIENTS)}; all of them if none is named",
    )
    arguments.add_argument("--only", default="", help="run scenarios with this in their name")
    arguments.add_argument("--provider", default="", help="run providers with this in their name")
    arguments.add_argument("--folder", type=Path, help="where clients are installed, to be used again; else temporary")
    arguments.add_argument("--program", type=Path, help="a client that is installed already")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        node = (options.folder or Path(temporary)) / "node"
        npm_install("node", node, _NODE)
        os.environ["PATH"] = f"{node / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        failures = [await table(CLIENTS[name], Path(temporary), options) for name in options.clients or CLIENTS]
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
