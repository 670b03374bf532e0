"""Runs each client against a gateway and a scripted provider in each format, and prints a table.

Clients are installed by name from the registry that npm is set up for. Homes are temporary, all traffic is loopback.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.clients import codex
from tests.clients.script import Script
from tests.e2e.process import serving
from tests.process import free_port

TOKEN = "token-of-the-clients"
PROVIDERS = {
    "openai-completions": ("openai-completions", False),
    "openai-completions, thinking": ("openai-completions", True),
    "openai-responses, thinking": ("openai-responses", True),
    "anthropic-messages, thinking": ("anthropic-messages", True),
}


def installed(package: str, folder: Path) -> tuple[Path, str]:
    """Install a package; its program and version."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, package], check=True)
    program = folder / "node_modules" / ".bin" / package.rpartition("/")[2]
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return program, version.stdout.strip()


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


async def outcome(scenario: Any, program: Path, provider: str, folder: Path) -> str:
    """Whether one scenario passes: "ok", or what went wrong."""
    api, thinks = PROVIDERS[provider]
    script = Script(thinks=thinks)
    state = folder / "state"
    state.mkdir(parents=True)
    async with provided(script) as url, serving(state, configuration(api, url)) as gateway:
        client = codex.Codex(program, folder / "home", gateway.url, TOKEN, script)
        client.prepare()
        try:
            await scenario(client)
        except AssertionError as error:
            return f"FAILED: {error}\n{script.refused}"
    return "ok" if not script.refused else f"FAILED: the provider refused {script.refused}"


async def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", help="run scenarios with this in their name")
    arguments.add_argument("--provider", help="run providers with this in their name")
    arguments.add_argument("--program", type=Path, help="a Codex that is installed already")
    options = arguments.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.program is None:
            program, version = installed(codex.PACKAGE, folder / "npm")
        else:
            program, version = options.program, "codex"
        print(f"| {version} | {' | '.join(PROVIDERS)} |\n|---|{'---|' * len(PROVIDERS)}")  # noqa: T201  the command's output
        for number, scenario in enumerate(codex.SCENARIOS):
            if options.only and options.only not in scenario.__name__:
                continue
            results = []
            for index, provider in enumerate(PROVIDERS):
                if options.provider and options.provider not in provider:
                    results.append("-")
                    continue
                result = await outcome(scenario, program, provider, folder / f"{number}-{index}")
                failures += result != "ok"
                results.append(result)
            print(f"| {scenario.__name__} | {' | '.join(results)} |", flush=True)  # noqa: T201  the command's output
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
