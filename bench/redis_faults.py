"""The effect of Redis faults on clients: `python bench/redis_faults.py`. See README.md here.

Three real gateways share a real Redis under 200 good requests a second. Then Redis gets one fault after the other,
while an attacker sends wrong tokens to every instance. Prints per fault: failed good requests, their p99 before and
during the fault, the number of 401s (at most the limit per instance while the instances are separated), and whether all
instances agree afterwards.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "ratelimit" / "tests")]  # the servers that the tests use
from support.slow import Hop, hop  # noqa: E402
from tests.process import free_port  # noqa: E402
from tests.servers import Redis, redis_server  # noqa: E402

TOKEN = "bench-token-0123456789abcdef"
LIMIT = 10
INSTANCES = 3
Step = Callable[[], Awaitable[object]]
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer wrong"}


@dataclass
class Traffic:
    """Good requests at a fixed rate to all instances in turn. `seconds` are their durations since `take`."""

    session: aiohttp.ClientSession
    urls: list[str]
    rate: float
    failed: int = 0
    seconds: list[float] = field(default_factory=list)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while True:
                number += 1
                await asyncio.sleep(began + number / self.rate - loop.time())
                group.create_task(self.one(number))

    async def one(self, number: int) -> None:
        began = time.perf_counter()
        headers = RIGHT | {"X-Forwarded-For": f"198.51.100.{number % 50 + 1}"}
        async with self.session.get(f"{self.urls[number % len(self.urls)]}/v1/models", headers=headers) as response:
            await response.read()
            self.failed += response.status != 200
        self.seconds.append(time.perf_counter() - began)

    def take(self) -> tuple[int, float]:
        """Failures and p99 in milliseconds since the last call."""
        failed, seconds = self.failed, self.seconds
        self.failed, self.seconds = 0, []
        return failed, quantiles(seconds, n=100)[98] * 1000 if len(seconds) > 100 else float("nan")


async def guesses(traffic: Traffic, client: str, count: int) -> int:
    """Send `count` wrong tokens to every instance at the same time. Returns the number of 401s."""

    async def guess(url: str) -> bool:
        async with traffic.session.get(f"{url}/v1/models", headers=WRONG | {"X-Forwarded-For": client}) as response:
            return response.status == 401

    return sum(await asyncio.gather(*(guess(url) for url in traffic.urls for _ in range(count))))


async def status(traffic: Traffic, url: str, client: str) -> int:
    headers = RIGHT | {"X-Forwarded-For": client}
    async with traffic.session.get(f"{url}/v1/models", headers=headers) as response:
        return response.status


async def degraded(traffic: Traffic) -> bool:
    for url in traffic.urls:
        async with traffic.session.get(f"{url}/readyz") as response:
            if (await response.json())["degraded"]:
                return True
    return False


@asynccontextmanager
async def gateways(directory: Path, redis_url: str) -> AsyncIterator[list[str]]:
    rules = {"maxAttempts": LIMIT, "global": False}
    config = {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN, "rateLimit": rules},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            "trustedProxies": ["127.0.0.1"],
            "redis": {"url": redis_url},
            "drain": {"noticeMs": 0},  # no proxy needs to notice the drain
        },
        "agents": {"defaults": {"model": "fake/none"}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k"}}},
    }
    file = directory / "gateway.json"
    file.write_text(json.dumps(config))
    programs: list[subprocess.Popen[bytes]] = []
    urls = []
    try:
        for _ in range(INSTANCES):
            port = free_port()
            command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--config", str(file)]
            environment = os.environ | {"OPENCLAW_STATE_DIR": str(directory / str(port))}
            programs.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            urls.append(f"http://127.0.0.1:{port}")
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            for url in urls:
                while True:
                    try:
                        async with session.get(f"{url}/readyz"):
                            break
                    except aiohttp.ClientConnectionError:
                        await asyncio.sleep(0.05)
        yield urls
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(30)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="good requests a second")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each phase")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "redis").mkdir()
        redis = await stack.enter_async_context(redis_server(directory / "redis"))
        network = await stack.enter_async_context(hop(redis.port))
        urls = await stack.enter_async_context(gateways(directory, f"redis://127.0.0.1:{network.port}"))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        traffic = Traffic(session, urls, options.rate)
        running = asyncio.create_task(traffic.run())
        try:
            return await measure(traffic, redis, network, options.seconds)
        finally:
            running.cancel()
            await asyncio.wait([running])


async def measure(traffic: Traffic, redis: Redis, network: Hop, seconds: float) -> int:
    async def slow() -> None:
        network.delay = 0.3

    async def fast() -> None:
        network.delay = 0.0

    async def freeze() -> None:
        redis.freeze()

    async def thaw() -> None:
        redis.thaw()

    async def replaced() -> None:
        await redis.kill()
        await redis.start()

    async def nothing() -> None:
        pass

    async def setting(name: str, value: str) -> None:
        await redis.ask("CONFIG", "SET", name, value)

    faults: dict[str, tuple[Step, Step]] = {
        "refused": (redis.stop, redis.start),
        "frozen (SIGSTOP)": (freeze, thaw),
        "slow (300 ms)": (slow, fast),
        "flushed": (redis.flush, nothing),
        "replaced by an empty one": (replaced, nothing),
        "out of memory": (lambda: setting("maxmemory", "1"), lambda: setting("maxmemory", "0")),
        "read-only": (lambda: redis.ask("REPLICAOF", "127.0.0.1", "1"), lambda: redis.ask("REPLICAOF", "NO", "ONE")),
        "connections cut": (lambda: redis.ask("CLIENT", "KILL", "TYPE", "normal"), nothing),
    }
    print("| fault | good requests failed | p99 before | p99 during | 401s of 90 | earned lock held | agree after |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    wrong = 0
    for number, (name, (begin, end)) in enumerate(faults.items()):
        earned, attacker = f"203.0.113.{number + 1}", f"203.0.113.{number + 101}"
        await guesses(traffic, earned, 5)
        await asyncio.sleep(0.3)
        traffic.take()
        await asyncio.sleep(seconds)
        _, before = traffic.take()
        await begin()
        refused = await guesses(traffic, attacker, 30)
        held = all([await status(traffic, url, earned) == 429 for url in traffic.urls])
        await asyncio.sleep(seconds)
        failed, during = traffic.take()
        await end()
        async with asyncio.timeout(20):
            while await degraded(traffic):
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.0)  # the next heartbeat notices a flush
        agree = all([await status(traffic, url, who) == 429 for url in traffic.urls for who in (earned, attacker)])
        failed += traffic.take()[0]
        ok = not failed and during - before < 20 and refused <= LIMIT * INSTANCES and held and agree
        wrong += not ok
        print(
            f"| {name} | {failed} | {before:.1f} ms | {during:.1f} ms | {refused} | {'yes' if held else '**no**'} "
            f"| {'yes' if agree else '**no**'} |",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
