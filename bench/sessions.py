"""The cost of a conversation compared with a stateless request: `python bench/sessions.py`. See README.md here.

One gateway, one real Redis, a fake provider. CPU is the gateway's only.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
from aiohttp import web
from procfs import cpu_seconds, rss_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.process import serving
from tests.servers import redis_server

TOKEN = "token-of-the-benchmark"
TEXT = "Tell me more about it, please, in a sentence or two, and mind the details. " * 3
TURNS = 20
CONNECTIONS = 8
BUDGET_MS = 1.0  # CPU per request
BUDGET_MB = 15.0  # RSS per 1,000 idle conversations

Call = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """Start the provider, which always sends the same answer. Yields its URL."""
    answer = {"role": "assistant", "content": TEXT}
    body = {"choices": [{"index": 0, "message": answer, "finish_reason": "stop"}], "usage": {"total_tokens": 1}}

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(body)

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site.port}/v1"
    await runner.cleanup()


async def press(call: Call, count: int) -> None:
    """Make `count` calls over CONNECTIONS connections."""
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--stateless", type=int, default=2000, metavar="N", help="calls that must leave nothing behind")
    parser.add_argument("--sqlite", action="store_true", help="use a file instead of Redis")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = await stack.enter_async_context(redis_server(home))
        url = await stack.enter_async_context(provider())
        config = {
            "gateway": {
                "auth": {"mode": "token", "token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
                "redis": {} if options.sqlite else {"url": redis.url},
            },
            "agents": {"defaults": {"model": {"primary": "fake/m"}}, "entries": {"main": {}}},
            "models": {"mode": "replace", "providers": {"fake": {"baseUrl": url, "apiKey": "k"}}},
        }
        gateway = await stack.enter_async_context(serving(home, config))
        pid = gateway.process.pid
        http = await stack.enter_async_context(
            aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {TOKEN}"})
        )

        async def chat(messages: list[dict[str, str]], user: str | None = None) -> None:
            body = {"model": "openclaw", "messages": messages, "user": user}
            async with http.post("/v1/chat/completions", json=body) as response:
                if response.status != 200:
                    raise SystemExit(await response.text())
                await response.read()

        question = [{"role": "user", "content": TEXT}]
        conversation = [*question, {"role": "assistant", "content": TEXT}] * TURNS + question
        users = 200
        calls: dict[str, Call] = {
            "alone, 1 message": lambda _: chat(question),
            f"alone, {len(conversation)} messages": lambda _: chat(conversation),
            f"conversation of {TURNS} turns": lambda number: chat(question, f"u{number % users}"),
        }
        keys = await redis.ask("DBSIZE")
        await press(calls["alone, 1 message"], options.stateless)
        left = await redis.ask("DBSIZE") - keys
        print(f"{options.stateless} stateless calls: {left:+d} keys")

        await press(calls[f"conversation of {TURNS} turns"], users * TURNS)
        cost: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(options.rounds):
            for name, call in calls.items():
                began = cpu_seconds(pid)
                await press(call, users)
                cost[name].append((cpu_seconds(pid) - began) / users * 1000)
        for name, figures in cost.items():
            print(f"{name}: {median(figures):.2f} ms CPU per request")
        one, many, stored = (cost[name] for name in calls)
        added = median(with_it - without for with_it, without in zip(stored, one, strict=True))
        shown = median(with_it - without for with_it, without in zip(stored, many, strict=True))
        print(f"added to 1 message: {added:.2f} ms (budget {BUDGET_MS}); to the same messages: {shown:.2f} ms")

        await asyncio.sleep(1)
        before = rss_bytes(pid)
        await press(lambda number: chat(question, f"idle{number}"), 1000)
        await asyncio.sleep(1)
        grown = (rss_bytes(pid) - before) / 2**20
        print(f"1000 idle conversations: {grown:+.1f} MB RSS (budget {BUDGET_MB})")
        began = time.perf_counter()
        await press(lambda number: chat(question, f"idle{number}"), 400)
        print(f"throughput with conversations: {400 / (time.perf_counter() - began):.0f} per second")
    return int(added > BUDGET_MS or grown > BUDGET_MB or left != 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
