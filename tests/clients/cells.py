"""Runs one scenario of one client: against a gateway and a scripted provider, or against the provider alone."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.clients.client import TOOL_SERVER, Client, Scenario
from tests.clients.results import PASSED, UNABLE
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
_ENDPOINTS = {
    "openai-completions": "chatCompletions",
    "openai-responses": "responses",
    "anthropic-messages": "messages",
}
_MAX_START = 180.0  # seconds; a deadline against a hang


def configuration(client_api: str, api: str, url: str) -> dict[str, Any]:
    """Of a gateway for clients of one format and a provider of another."""
    # As for a server that renders the chat template of a model: the scripted provider is as strict as the strictest.
    compat = {"compat": {"supportsLateSystem": False}} if api == "openai-completions" else {}
    models = [{"id": name, **compat} for name in ("scripted", "other")]
    row = {"baseUrl": f"{url}/v1", "apiKey": "key", "api": api, "models": models}
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
    runner = web.AppRunner(script.app(), handler_cancellation=True)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Runner:
    """Runs the cells of one client, each in folders of its own under `folder`."""

    def __init__(self, client: type[Client], program: Path, folder: Path) -> None:
        self._client = client
        self._program = program
        self._folder = folder

    async def outcome(self, scenario: Scenario, provider: str) -> str:
        """PASSED, UNABLE if the client can't do it without the gateway either, or what went wrong."""
        name = scenario.__name__
        api, thinks = PROVIDERS[provider]
        direct = self._folder / name / "direct" / provider
        if name in self._client.unable:
            problem, _ = await self._directly(scenario, direct, thinks=False)
            return UNABLE if problem else f"{name} passes without a gateway, although {self._client.name} is unable"
        problem, end = await self._through_the_gateway(scenario, self._folder / name / provider, api, thinks=thinks)
        if problem is None and end is None:
            return PASSED
        control, expected = await self._directly(scenario, direct, thinks=thinks)
        if problem is not None:
            return f"{problem} (without a gateway: {control or 'ok'})"
        if control is not None:
            return f"fails without a gateway: {control}"
        return PASSED if end == expected else f"ends with {end!r}, without a gateway with {expected!r}"

    async def _through_the_gateway(
        self, scenario: Scenario, folder: Path, api: str, *, thinks: bool
    ) -> tuple[str | None, str | None]:
        script = Script(thinks=thinks)
        state = folder / "state"
        state.mkdir(parents=True)
        async with provided(script) as url:
            configured = configuration(self._client.api, api, url)
            async with serving(state, configured, max_wait=_MAX_START) as gateway:
                # A tool server that is slow to start connects after the gateway serves.
                await gateway.process.wait_for_output("Tool server connected", _MAX_START)
                return await self._run(scenario, folder / "home", gateway.url, script)

    async def _directly(self, scenario: Scenario, folder: Path, *, thinks: bool) -> tuple[str | None, str | None]:
        script = Script(thinks=thinks, key=TOKEN)
        async with provided(script) as url:
            return await self._run(scenario, folder, url, script)

    async def _run(self, scenario: Scenario, home: Path, url: str, script: Script) -> tuple[str | None, str | None]:
        """What goes wrong in a scenario, and how it ends if the scenario says so."""
        client = self._client(self._program, home, url, TOKEN, script)
        try:
            await client.prepare()
            end = await scenario(client)
        except AssertionError as error:
            return f"{error} {script.refused or ''}", None
        finally:
            if leftover := client.leftover():
                await client.execute(*leftover)
        return (f"the provider refused {script.refused}" if script.refused else None), end
