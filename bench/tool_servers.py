"""The cost of a tool server, and the effect of its death: `python bench/tool_servers.py`. See README.md here.

A scripted model calls a tool of a real server through a real gateway, reads the result and answers. Prints for a server
over stdio and over HTTP: the time of a plain answer, the time of an answer of two rounds with a call between them, and
the time from SIGKILL of the server during a call to the model's answer to the error.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the servers that the tests use
from tests.e2e.answers import in_turn, says  # noqa: E402
from tests.e2e.process import serving  # noqa: E402
from tests.e2e.provider import KEY, Model, Provider  # noqa: E402
from tests.process import free_port, running  # noqa: E402

TOKEN = "bench-token-0123456789abcdef"
SERVER = ROOT / "tests" / "tool_server.py"
BUDGET = 1000.0  # milliseconds from a server's death to the answer


async def ask(session: aiohttp.ClientSession, model: Model) -> str:
    """The text of one answer."""
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
    async with session.post("/v1/chat/completions", json=body, headers=model.chosen) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["choices"][0]["message"]["content"])


async def timed(session: aiohttp.ClientSession, provider: Provider, rounds: int, call: tuple[str, str, str]) -> float:
    """Milliseconds of one answer of one or two rounds."""
    answers = [says("ok")] if rounds == 1 else [says(None, call, finish="tool_calls"), says("ok")]
    model = provider.model(in_turn(*answers))
    began = time.perf_counter()
    assert await ask(session, model) == "ok"
    took = (time.perf_counter() - began) * 1000
    assert len(model.asked) == rounds
    return took


async def killed(session: aiohttp.ClientSession, provider: Provider, server: str, notes: Path) -> tuple[float, str]:
    """Milliseconds from SIGKILL of the server to the answer, and the tool message that the model got."""
    hanging = notes / "hanging"
    hanging.unlink(missing_ok=True)
    model = provider.model(in_turn(says(None, ("c1", f"{server}__hang", "{}"), finish="tool_calls"), says("ok")))
    asking = asyncio.create_task(ask(session, model))
    while not (hanging.exists() and hanging.read_text()):
        await asyncio.sleep(0.001)
    process = int(hanging.read_text())
    began = time.perf_counter()
    os.kill(process, signal.SIGKILL)
    await asking
    took = (time.perf_counter() - began) * 1000
    return took, next(one["content"] for one in model.asked[1].body["messages"] if one["role"] == "tool")


async def again(session: aiohttp.ClientSession) -> None:
    """Wait until all servers are available again."""
    while True:
        async with session.get("/readyz") as response:
            if not (await response.json())["degraded"]:
                return
        await asyncio.sleep(0.01)


async def begin(command: list[str]) -> AsyncExitStack:
    """Start the server over HTTP. Closing the result ends it."""
    stack = AsyncExitStack()
    process = await stack.enter_async_context(running(command))
    await process.wait_for_output("Uvicorn running")
    return stack


def config_for(provider: Provider, servers: dict[str, Any]) -> dict[str, Any]:
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
        },
        "agents": {"defaults": {"model": "fake/none"}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
        "mcp": {"servers": servers},
    }


async def measure(folder: Path, times: int, kills: int) -> bool:
    """Print the figures. Returns whether all answers came in time."""
    notes = {name: folder / name for name in ("stdio", "http", "state")}
    for path in notes.values():
        path.mkdir()
    port = free_port()
    command = [sys.executable, str(SERVER), str(notes["http"]), "streamable-http", str(port)]
    servers = {
        "stdio": {"command": sys.executable, "args": [str(SERVER), str(notes["stdio"])]},
        "http": {"url": f"http://127.0.0.1:{port}/mcp"},
    }
    slowest = 0.0
    far = await begin(command)
    try:
        async with (
            Provider().serving() as provider,
            serving(notes["state"], config_for(provider, servers)) as gateway,
            aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        ):
            for server in servers:
                call = ("c1", f"{server}__weather", '{"city": "Oslo"}')
                rows = [[await timed(session, provider, rounds, call) for rounds in (1, 2)] for _ in range(times)]
                one, two = (median(row[which] for row in rows) for which in (0, 1))
                print(f"{server}: one round {one:.1f} ms, two rounds with a call {two:.1f} ms")
            for server in servers:
                ends = []
                for _ in range(kills):
                    await again(session)
                    took, read = await killed(session, provider, server, notes[server])
                    ends.append(took)
                    if server == "http":
                        await far.aclose()
                        far = await begin(command)
                slowest = max(slowest, *ends)
                print(f"{server}: killed in a call, answered {median(ends):.0f} ms later ({max(ends):.0f} at most)")
                print(f"  the model read: {read}")
    finally:
        await far.aclose()
    return slowest < BUDGET


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="answers of each kind")
    parser.add_argument("--kills", type=int, default=3, help="deaths of each server; the pauses between them double")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as here:
        sys.exit(not asyncio.run(measure(Path(here), options.times, options.kills)))
