"""Whether requests can add series, and what a scrape takes: `python bench/series.py`. See README.md here.

One gateway with 10 agents and 20 models first answers something of every kind by each of them, then requests with
random models, agents, paths, methods, client keys, users, channels and ids; an agent answers a sixth of them. The exit
status is 1 if they added a series, or if more than 20 ms are spent on a scrape or on the text of as many samples as a
process may have.
"""

import argparse
import asyncio
import random
import statistics
import string
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateway_process import ROOT, running

sys.path.insert(0, str(ROOT))
from gateway.core.client_key import new_key
from gateway.metrics.catalog import DROPPED, FAMILIES, REQUESTS
from gateway.metrics.registry import Registry
from gateway.metrics.text import rendered
from tests.fault.canonical import STREAM, whole
from tests.fault.conftest import TOKEN, settings
from tests.unit.http.metrics import Scraped

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
AGENTS, PROVIDERS, MODELS = 10, 4, 5  # models of each provider
WORKERS = 16
MAX_SECONDS = 0.020
SCRAPES = 30

chars = random.Random(1)


def word() -> str:
    """What a client may have made up."""
    return "".join(chars.choices(string.ascii_letters + string.digits, k=12))


def configuration(url: str) -> dict[str, Any]:
    """Agents, each with a primary model and a fallback at another provider."""
    models = [{"id": f"m{number}", "cost": {"input": 1, "output": 1}} for number in range(MODELS)]
    row = {"baseUrl": url, "apiKey": "k", "models": [*models, {"id": "refusing", "cost": {"input": 1}}]}
    config = settings({f"p{number}": row for number in range(PROVIDERS)}, {})
    config["agents"] = {
        "default": "a0",
        "defaults": {},
        "entries": {
            f"a{number}": {"model": {"primary": f"p{number % PROVIDERS}/refusing", "fallbacks": ["p1/m1", "p2/m2"]}}
            for number in range(AGENTS)
        },
    }
    del config["memory"]
    # Nobody is locked out or slowed down, and no model cools down: every request is answered.
    limit = {"maxAttempts": 10**6, "exemptLoopback": False, "global": False}
    config["gateway"]["auth"] |= {"rateLimit": limit}
    config["gateway"]["retry"] |= {"maxRetries": 0, "cooldownMs": 1, "maxCooldownMs": 1}
    config["gateway"]["budgets"] = [{"name": "all", "per": [], "tokens": 10**12}]
    config["gateway"]["drain"] = {"noticeMs": 0}
    return config


async def answer(request: web.Request) -> web.Response:
    """The provider's answer."""
    body = await request.json()
    if body["model"] == "refusing":
        return web.json_response({"error": {"message": "no"}}, status=503)
    if body.get("stream"):
        return web.Response(body=STREAM, content_type="text/event-stream")
    return web.Response(body=whole(), content_type="application/json")


async def known(client: aiohttp.ClientSession) -> None:
    """Something of every kind: each agent and each model, streamed and whole."""
    for stream in (False, True):
        for number in range(AGENTS):
            await status(client, "POST", CHAT, json=ASK | {"model": f"openclaw/a{number}", "stream": stream})
        for provider in range(PROVIDERS):
            for model in [f"m{number}" for number in range(MODELS)] + ["refusing"]:
                headers = {"x-openclaw-model": f"p{provider}/{model}"}
                await status(client, "POST", CHAT, json=ASK | {"stream": stream}, headers=headers)


async def strange(client: aiohttp.ClientSession, kind: int) -> int:
    """A request with what nobody has configured. Returns its status."""
    match kind:
        case 0:
            headers = {
                "x-openclaw-model": f"p0/{word()}",
                "x-openclaw-session-key": word(),
                "x-openclaw-message-channel": word(),
                "x-request-id": word(),
                "traceparent": word(),
            }
            return await status(client, "POST", CHAT, json=ASK | {"user": word()}, headers=headers)
        case 1:
            return await status(client, "GET", f"/{word()}/{word()}?{word()}={word()}")
        case 2:
            return await status(client, "POST", CHAT, json=ASK | {"model": f"openclaw/{word()}"})
        case 3:
            return await status(client, "GET", "/v1/models", headers={"Authorization": f"Bearer {new_key()}"})
        case 4:
            return await status(client, "GET", f"/v1/models/{word()}")
        case _:
            return await status(client, word().upper(), CHAT)


async def status(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> int:
    async with client.request(method, path, **options) as response:
        await response.read()
        return response.status


async def scraped(client: aiohttp.ClientSession) -> Scraped:
    async with client.get("/metrics") as response:
        return Scraped(await response.text())


async def measured(requests: int, state: Path) -> int:
    """Run the load and print what it changed. 1 if a budget is missed."""
    statuses: Counter[int] = Counter()
    app = web.Application()
    app.router.add_post(CHAT, answer)
    async with TestServer(app) as provider, running(configuration(str(provider.make_url("/v1"))), state) as gateway:
        base, headers = f"http://127.0.0.1:{gateway.port}", {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(base, headers=headers) as client:
            await known(client)
            for kind in range(6):
                await strange(client, kind)
            await scraped(client)
            before, megabytes = (await scraped(client)).series, gateway.megabytes
            numbers = iter(range(requests))

            async def work() -> None:
                for number in numbers:
                    statuses[await strange(client, number % 6)] += 1

            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(work())
            seconds = time.monotonic() - began
            after = await scraped(client)
            times = [await timed(client) for _ in range(SCRAPES)]
            growth = gateway.megabytes - megabytes
    at_cap = rendering_time()
    print(f"{requests} strange requests in {seconds:.0f} s, by status: {dict(sorted(statuses.items()))}")
    print(f"series: {len(before)} before, {len(after.series)} after; dropped: {after[DROPPED.name]:.0f}")
    for added in sorted(after.series - before)[:10]:
        print(f"  added: {added}")
    print(f"memory: {growth:+.1f} MB")
    print(f"a scrape of {len(after.samples)} samples: median {statistics.median(times) * 1000:.1f} ms")
    print(f"snapshot and text of {at_cap[0]} samples, the most of a process: {at_cap[1] * 1000:.1f} ms of CPU time")
    missed = after.series != before or statistics.median(times) > MAX_SECONDS or at_cap[1] > MAX_SECONDS
    return int(missed)


async def timed(client: aiohttp.ClientSession) -> float:
    began = time.monotonic()
    await status(client, "GET", "/metrics")
    return time.monotonic() - began


def rendering_time() -> tuple[int, float]:
    """How many samples a full registry has, and the CPU time (seconds) of its text: the best of several."""
    registry = Registry()
    histograms = [family for family in FAMILIES if family.kind == "histogram" and len(family.labels) == 2]
    number = 0
    while not registry.dropped.value:
        registry.histogram(histograms[number % len(histograms)], f"p{number}", "model").observe(0.1)
        registry.counter(REQUESTS, "/v1/models", "2xx", f"{number}").add(number)
        number += 1
    best = float("inf")
    for _ in range(10):
        began = time.process_time()
        text = rendered(FAMILIES, registry.snapshot())
        best = min(best, time.process_time() - began)
    return sum(not line.startswith(b"#") for line in text.splitlines()), best


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measured(options.requests, Path(state)))


if __name__ == "__main__":
    sys.exit(main())
