"""Runs Schemathesis with all checks against a gateway and its own OpenAPI document.

`--program` is Schemathesis, installed in an environment of its own; further options are passed to it. All traffic is
loopback.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.e2e.answers import embeds, says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.e2e.provider import KEY, Model, Provider


async def _answers(request: web.Request, model: Model) -> web.StreamResponse:
    """A model that answers every request: with a call if one is demanded, with vectors, or with a text."""
    body = model.asked[-1].body
    if "input" in body:
        return await embeds(*([0.5, 0.25] for _ in body["input"]))(request, model)
    tools, choice = body.get("tools") or (), body.get("tool_choice", "auto")
    if tools and choice not in ("auto", "none"):
        name = choice["function"]["name"] if isinstance(choice, dict) else tools[0]["function"]["name"]
        return await says(None, ("call_1", name, "{}"), finish="tool_calls")(request, model)
    return await says("Hello")(request, model)


def _configuration(provider: Provider) -> dict[str, Any]:
    models = [{"id": "scripted", "input": ["text", "image"]}]
    return {
        "gateway": {
            "auth": {
                "mode": "token",
                "token": TOKEN,
                "rateLimit": {
                    "maxAttempts": 1_000_000,
                    "exemptLoopback": False,
                    "global": False,
                },  # it sends wrong tokens
            },
            "http": {"endpoints": {name: {"enabled": True} for name in ("chatCompletions", "responses", "messages")}},
        },
        "agents": {"defaults": {"model": {"primary": "fake/scripted"}}, "entries": {"main": {}}},
        "memory": {"search": {"provider": "fake", "model": "scripted"}},
        "models": {
            "mode": "replace",
            "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY, "models": models}},
        },
    }


async def main() -> int:
    """Run Schemathesis and return its exit status: 0 if it found nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="schemathesis", help="Schemathesis")
    options, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        async with Provider().serving() as provider, serving(Path(folder), _configuration(provider)) as gateway:
            provider.model(_answers, "scripted")
            settings = ("--config-file", str(Path(__file__).with_name("schemathesis.toml")))
            arguments = (f"{gateway.url}/openapi.json", "--checks", "all", "--header", f"Authorization: Bearer {TOKEN}")
            process = await asyncio.create_subprocess_exec(
                options.program,
                *settings,
                "run",
                *arguments,
                *others,
                cwd=folder,
                env={
                    **os.environ,
                    "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("hooks.py")),
                    "FUZZED_PORT": str(gateway.port),
                    "FUZZED_TOKEN": TOKEN,
                },
            )
            return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
