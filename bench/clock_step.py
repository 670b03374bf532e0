"""Steps system clocks while a background run and a turn of a conversation are at work, and counts what is lost, and
which locks of clients.

    LIBFAKETIME=/path/to/libfaketime.so.1 python -m bench.clock_step

libfaketime (https://github.com/wolfcw/libfaketime) moves the system clock of one process and leaves its monotonic clock
alone, as a real step does. The clock of one instance, of all instances, or of Redis is moved. While the clock steps,
another request waits for the same conversation, and clients poll the run at every instance. `--whose Redis` runs
only these steps.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web

import tests.process
from tests.e2e.answers import DONE, chunk
from tests.e2e.process import Gateway, serving
from tests.e2e.provider import KEY, Provider
from tests.servers import redis_server

TOKEN = "token-of-the-clock-steps-0123456789"
STEPS = {"+20 s": 20, "-20 s": -20, "+1 day": 86_400, "-1 day": -86_400}
WHOSE = ("one instance", "all instances", "Redis")
SILENCE = 8.0  # seconds that the model takes, more than a lease
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "198.51.100.1"}
ATTACKER = {"X-Forwarded-For": "203.0.113.9"}
LOCKOUT = 300  # seconds


@contextmanager
def faked(offset: Path) -> Iterator[None]:
    """Processes started inside have their clock moved by the seconds in the file."""
    added = {
        "LD_PRELOAD": os.environ["LIBFAKETIME"],
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
    os.environ |= added
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@asynccontextmanager
async def instances(folder: Path, provider: str, count: int, *, shared: bool) -> AsyncIterator[list[Gateway]]:
    """Gateways with clocks of their own, and a Redis with its own if they share one."""
    async with AsyncExitStack() as stack:
        config: dict[str, Any] = {
            "gateway": {
                "auth": {"token": TOKEN, "rateLimit": {"maxAttempts": 3, "lockoutMs": LOCKOUT * 1000}},
                "trustedProxies": ["127.0.0.1"],
                "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            },
            "agents": {"defaults": {"model": {"primary": "fake/slow"}}, "entries": {"main": {}}},
            "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider, "apiKey": KEY}}},
        }
        if shared:
            (folder / "redis").mkdir()
            with faked(clock(folder, "Redis")):
                redis = await stack.enter_async_context(redis_server(folder / "redis"))
            config["gateway"]["redis"] = {"url": redis.url}
        made = []
        for number in range(count):
            state = folder / f"state-{number}"
            state.mkdir()
            with faked(clock(folder, str(number))):
                made.append(await stack.enter_async_context(serving(state, config)))
        yield made


def clock(folder: Path, name: str) -> Path:
    """The file that moves a clock; it begins without a step."""
    file = folder / f"clock-{name}"
    if not file.exists():
        file.write_text("+0\n", encoding="ascii")
    return file


async def slow(request: aiohttp.web.Request, _model: Any) -> aiohttp.web.StreamResponse:
    """An answer after a silence."""
    response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(chunk({"content": "Hel"}))
    await asyncio.sleep(SILENCE)
    await response.write(chunk({"content": "lo"}) + chunk({}, "stop") + DONE)
    return response


async def turn(gateway: Gateway, text: str) -> int:
    """The status of one turn of the conversation `c`, -1 if its stream ended with an error."""
    body = {"model": "openclaw", "user": "c", "stream": True, "messages": [{"role": "user", "content": text}]}
    async with (
        aiohttp.ClientSession(gateway.url, headers=HEADERS) as client,
        client.post("/v1/chat/completions", json=body) as response,
    ):
        answer = await response.text()
        return -1 if '"error"' in answer else response.status


async def background(gateways: list[Gateway]) -> str:
    """The final status of a background run that all instances are asked about all the time."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(aiohttp.ClientSession(one.url, headers=HEADERS)) for one in gateways]
        body = {"model": "openclaw", "input": "hi", "background": True}
        async with clients[0].post("/v1/responses", json=body) as response:
            name = (await response.json())["id"]
        while True:
            for client in clients:
                async with client.get(f"/v1/responses/{name}") as response:
                    status = str((await response.json())["status"])
                if status not in ("queued", "in_progress"):
                    return status
            await asyncio.sleep(0.2)


async def lock(gateway: Gateway) -> None:
    """Guess until the attacker is locked out."""
    wrong = ATTACKER | {"Authorization": "Bearer wrong"}
    async with aiohttp.ClientSession(gateway.url, headers=wrong) as client:
        for status in (401, 401, 401, 429):
            async with client.get("/v1/models") as response:
                assert response.status == status, (response.status, status)


async def lost_locks(gateways: list[Gateway]) -> list[str]:
    """Where the attacker's lock, of a minute ago at most, does not hold as long as it should."""
    lost = []
    for number, gateway in enumerate(gateways):
        async with (
            aiohttp.ClientSession(gateway.url, headers=HEADERS | ATTACKER) as client,
            client.get("/v1/models") as response,
        ):
            wait = int(response.headers.get("Retry-After", 0))
            if response.status != 429 or not LOCKOUT - 120 <= wait <= LOCKOUT:
                lost.append(f"lock at instance {number}: {response.status}, {wait} s")
    return lost


async def one(folder: Path, provider: str, whose: str, seconds: int, *, shared: bool) -> list[str]:
    """What was lost by one step."""
    async with instances(folder, provider, 2 if shared else 1, shared=shared) as gateways:
        await turn(gateways[0], "before")
        await lock(gateways[0])
        run = asyncio.create_task(background(gateways))
        first = asyncio.create_task(turn(gateways[0], "first"))
        await asyncio.sleep(1.5)
        second = asyncio.create_task(turn(gateways[-1], "second"))
        await asyncio.sleep(0.5)
        moved = ["Redis"] if whose == "Redis" else ["0"] if whose == "one instance" else ["0", "1"]
        for name in moved:
            clock(folder, name).write_text(f"{seconds:+d}\n", encoding="ascii")
        lost = []
        if (status := await run) != "completed":
            lost.append(f"run {status}")
        lost += [f"turn {code}" for code in (await first, await second) if code != 200]
        async with (
            aiohttp.ClientSession(gateways[0].url, headers=HEADERS) as client,
            client.get("/api/v1/sessions/agent:main:openai-user:c") as response,
        ):
            entries = len((await response.json()).get("transcript", [])) if response.status == 200 else 0
        if entries != 3:
            lost.append(f"{3 - entries} entries")
        return lost + await lost_locks(gateways)


async def main(chosen: list[str]) -> int:
    """Print a table; 1 if anything was lost."""
    tests.process.MAX_WAIT = 180.0  # three programs start at the same time, on a machine that may be busy
    failed = False
    async with Provider().serving() as provider:
        provider.model(slow, "slow")
        for shared in (False, True):
            for whose in (one for one in (WHOSE if shared else WHOSE[:1]) if one in chosen):
                for name, seconds in STEPS.items():
                    with tempfile.TemporaryDirectory() as folder:
                        lost = await one(Path(folder), provider.url, whose, seconds, shared=shared)
                    failed |= bool(lost)
                    store = "Redis" if shared else "SQLite"
                    print(f"{store:8} {whose:14} {name:8} {', '.join(lost) or 'nothing lost'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whose", choices=WHOSE, action="append", help="whose clock; all by default")
    sys.exit(asyncio.run(main(parser.parse_args().whose or list(WHOSE))))
