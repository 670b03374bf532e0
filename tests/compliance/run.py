"""Runs the OpenResponses compliance suite against the deployment: nginx in front of three gateways that share a Redis.

The argument is a folder with the suite (https://github.com/openresponses/openresponses) and its packages (`zod`); `bun`
runs it. All traffic is loopback.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.e2e.answers import says
from tests.e2e.conftest import TOKEN
from tests.e2e.provider import KEY, Model, Provider
from tests.e2e.stack import stack

_TIMEOUT = 120.0


async def _answers(request: web.Request, model: Model) -> web.StreamResponse:
    """A model that calls the first tool that it is offered, and else talks."""
    tools = model.asked[-1].body.get("tools")
    if tools:
        name = tools[0]["function"]["name"]
        return await says(None, ("call_1", name, '{"location":"Oslo"}'), finish="tool_calls")(request, model)
    return await says("One, two, three, four, five.")(request, model)


def _configuration(provider: Provider) -> dict[str, Any]:
    row = {
        "baseUrl": provider.url,
        "apiKey": KEY,
        "models": [{"id": "scripted", "input": ["text", "image"]}],
    }
    return {
        "gateway": {"drain": {"noticeMs": 0}},
        "agents": {"defaults": {"model": {"primary": "fake/scripted"}}, "entries": {"main": {}}},
        "models": {"mode": "replace", "providers": {"fake": row}},
    }


async def _run(suite: Path, bun: str, url: str) -> dict[str, Any]:
    """The suite's report."""
    arguments = ("run", "bin/compliance-test.ts", "--base-url", f"{url}/v1", "--model", "openclaw", "--json")
    process = await asyncio.create_subprocess_exec(
        bun, *arguments, "--api-key", TOKEN, cwd=suite, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_TIMEOUT):
        output, _ = await process.communicate()
    report: dict[str, Any] = json.loads(output)
    return report


async def main() -> int:
    """Run the suite and print a line for each template. Returns the number of templates that did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="a folder with the suite")
    parser.add_argument("--bun", default="bun", help="the program that runs it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with Provider().serving() as provider:
            provider.model(_answers, "scripted")
            async with stack(Path(folder), _configuration(provider), client="203.0.113.1") as deployed:
                report = await _run(options.suite, options.bun, deployed.url)
    results = report["results"]
    failed = 0
    for result in results:
        if result["status"] == "running":
            continue
        failed += result["status"] != "passed"
        print(f"{result['status']:8} {result['id']}", *result.get("errors", ()), sep="\n         ")  # noqa: T201
    print(f"{report['summary']['passed']} of {report['summary']['total']} passed")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
