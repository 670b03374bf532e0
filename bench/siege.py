"""An hour of attacks and faults in ten minutes: `python bench/siege.py`. See README.md here.

nginx with deploy/nginx.conf, three gateways and Redis, as docker-compose.yml starts them, on a small disk of their own.
Good requests of every kind are checked one by one, first alone, then beside attackers and faults. Prints a table; the
exit status is 1 if a row misses its budget.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_process import ROOT  # first: it makes the tests' servers importable
from procfs import rss_bytes
from siege_attackers import CALLERS
from siege_faults import KILLED, MEMORY, Faults
from siege_traffic import Client, Traffic, lost_records

import tests.process
from tests.e2e.conftest import TOKEN
from tests.e2e.names import name_server
from tests.e2e.stack import Stack, nginx_config
from tests.process import free_port
from tests.servers import nginx, redis_server

BENCH = Path(__file__).parent
KEY = "sk-siege-provider-key-0123456789abcdef"
HEADER_SECRET = "siege-header-secret-0123456789"
PROMPT_SECRET = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"  # of the attackers' large prompts; no log may have it
RUNS = 5000
DISK = 700  # MB
CALM = 0.15  # share of the time
SAMPLE = 2.0  # seconds between two looks at the memory
ELSEWHERE = 10  # the niceness of programs that stand for other machines: they take no core from what is measured
SETTLE = 60.0  # seconds for the last runs and leases to end
WARM_UP = 0.2  # the attackers' time before the memory is read first, as a share of the whole time, which it prolongs
WARM_UP_RATE = 5.0  # times the usual rate: tables with a bound, such as that of locked addresses, fill first
SILENCE = 30.0  # seconds without attackers before the memory is read
IN_FRONT = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Test-Client;\n"
SLOPE_BUDGET = 2.0  # MB per 100,000 requests
P99_BUDGET = 50.0  # ms


def configuration(good: str, hostile: str) -> dict[str, object]:
    """What the operator adds to deploy/gateway.json5. The attackers' models have a provider of their own."""
    agents = {"quick": "good/quick", "slow": "hostile/slow", "refuses": "hostile/refuses", "huge": "hostile/huge"}
    row = {"apiKey": KEY, "headers": {"X-Account": HEADER_SECRET}}
    return {
        "gateway": {"limits": [{"name": "runs", "per": [], "concurrentRuns": RUNS}]},
        "agents": {
            "default": "quick",
            "defaults": {"model": {"primary": "good/quick"}},
            "entries": {name: {"model": {"primary": model}} for name, model in agents.items()},
        },
        "memory": {"search": {"provider": "good", "model": "vectors"}},
        "models": {
            "mode": "replace",
            "providers": {"good": {"baseUrl": good, **row}, "hostile": {"baseUrl": hostile, **row}},
        },
    }


@contextlib.contextmanager
def provider(niceness: int = 0) -> Iterator[str]:
    """The base URL of a provider that runs in this context."""
    port = free_port()
    process = subprocess.Popen(["nice", "-n", str(niceness), sys.executable, BENCH / "siege_provider.py", str(port)])
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


class Siege:
    """The set-up, and what was measured."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.memory: dict[int, list[tuple[int, float]]] = {}
        """By gateway: bytes of nginx's log (a measure of the requests so far), and megabytes."""
        self.quiet_memory: dict[int, list[tuple[int, float]]] = {}
        """By gateway: requests so far and megabytes, after the attackers' warm-up and after the siege."""

    @property
    def log(self) -> Path:
        return self.folder / "access.log"

    @asynccontextmanager
    async def stack(self, *providers: str) -> AsyncIterator[Stack]:
        for name in ("redis", "nginx/gateway.d", *(f"gateway-{number}" for number in (1, 2, KILLED))):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "nginx" / "gateway.d" / "in_front.conf").write_text(IN_FRONT)
        os.environ["PYTHONPATH"] = str(BENCH / "siege_clock")
        settings = {"appendonly": "yes", "maxmemory": MEMORY, "maxmemory_policy": "noeviction"}
        async with name_server() as names, redis_server(self.folder / "redis", **settings) as redis:
            made = Stack(self.folder, names, redis, configuration(*providers))
            try:
                for number in (1, 2, KILLED):
                    await made.start(number)
                names.addresses = list(made.gateways)
                config = nginx_config(names, made.port, "3s")
                config = config.replace("access_log /dev/stdout requests", f"access_log {self.log} requests")
                async with nginx(self.folder / "nginx", config) as made.nginx:
                    await made.wait_until_listed()
                    yield made
            finally:
                await made.close()

    async def sample(self, stack: Stack) -> None:
        """Record the memory of the gateways that are never killed."""
        while True:
            for number in (1, 2):
                self.memory.setdefault(number, []).append((self.log.stat().st_size, self.megabytes(stack, number)))
            await asyncio.sleep(SAMPLE)

    async def read_memory(self, stack: Stack) -> None:
        """Record the memory beside good requests alone: large bodies in flight neither hide nor feign a leak."""
        await asyncio.sleep(SILENCE)
        for number in (1, 2):
            self.quiet_memory.setdefault(number, []).append((self.requests(), self.megabytes(stack, number)))

    def requests(self) -> int:
        """Requests at nginx so far."""
        with self.log.open("rb") as file:
            return sum(1 for _ in file)

    @staticmethod
    def megabytes(stack: Stack, number: int) -> float:
        return rss_bytes(stack.gateways[stack.address(number)].process.pid) / 1e6

    async def run(self) -> bool:
        with provider() as good, provider(ELSEWHERE) as hostile:
            async with self.stack(good, hostile) as stack:
                return await self.attack(stack)

    async def attack(self, stack: Stack) -> bool:
        total = self.options.minutes * 60
        traffic = Traffic(stack.url, TOKEN)
        faults = Faults(stack, traffic, self.folder, min(10.0, total / 24))
        leaks: list[str] = []
        async with AsyncExitStack() as cleanup:
            good = asyncio.create_task(traffic.run())
            sampling = asyncio.create_task(self.sample(stack))
            delays = asyncio.create_task(traffic.watch_delays())
            cleanup.callback(sampling.cancel)
            cleanup.callback(delays.cancel)
            cleanup.callback(good.cancel)
            await self.introduce(stack)
            await asyncio.sleep(total * CALM)
            traffic.phase = "warm-up"
            leaks += (await self.results(await self.attackers(stack, total * WARM_UP, WARM_UP_RATE)))["leaks"]
            await self.read_memory(stack)
            traffic.phase = "siege"
            seconds = total * (1 - CALM)
            attackers = await self.attackers(stack, seconds)
            await faults.run(seconds)
            attacks = await self.results(attackers)
            traffic.phase = "after"
            await self.read_memory(stack)
            traffic.stopped.set()
            await good
        attacks["leaks"] += leaks
        slots = await self.slots_taken(traffic)
        lost = await lost_records(traffic)
        return self.report(stack, traffic, faults, attacks, slots, lost)

    async def introduce(self, stack: Stack) -> None:
        """Let the attackers who have the token use it once: from then on, others' failures do not refuse them."""
        for number in range(1, CALLERS + 1):
            async with stack.client(f"192.0.2.{number}") as client, client.get("/v1/models") as response:
                response.raise_for_status()

    async def attackers(self, stack: Stack, seconds: float, rate: float = 1.0) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "nice", "-n", str(ELSEWHERE), sys.executable, str(BENCH / "siege_attackers.py"),
            "--port", str(stack.port), "--gateways", ",".join(stack.gateways), "--token", TOKEN,
            "--secrets", f"{KEY},{HEADER_SECRET},{TOKEN}", "--seconds", str(seconds),
            "--rate", str(self.options.rate * rate), "--seed", str(self.options.seed),
            "--without", self.options.without,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def results(self, attackers: asyncio.subprocess.Process) -> dict[str, Any]:
        """What the attackers did and got, once they have ended."""
        output, _ = await attackers.communicate()
        if attackers.returncode:
            raise RuntimeError("the attackers failed; see above")
        results: dict[str, Any] = json.loads(output)
        return results

    async def slots_taken(self, traffic: Traffic) -> int:
        """Slots of `concurrentRuns` that are taken though nothing runs any more; waits for leases of the dead."""
        end = time.monotonic() + SETTLE
        while True:
            failures = traffic.failures.total()
            await Client(traffic, 0).once(Client.chat)
            taken = RUNS - 1 - traffic.runs_limit
            if (not taken and traffic.failures.total() == failures) or time.monotonic() > end:
                return taken
            await asyncio.sleep(1)

    def slope(self, number: int, requests: int) -> float:
        """Megabytes per 100,000 requests, by least squares over the last three quarters of the time."""
        size = self.log.stat().st_size
        points = [(at * requests / size, megabytes) for at, megabytes in self.memory[number]]
        points = points[len(points) // 4 :]
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        rise = sum((x - mean_x) * (y - mean_y) for x, y in points)
        return rise / sum((x - mean_x) ** 2 for x, _ in points) * 100_000

    def secrets(self, stack: Stack, attacks: dict[str, list[str]]) -> list[str]:
        """Where a secret was seen: in logs and in answers."""
        outputs = {"nginx": stack.nginx.output + stack.nginx.errors, "nginx's log": self.log.read_text()}
        for address, gateway in stack.gateways.items():
            outputs[f"gateway {address}"] = gateway.process.output + gateway.process.errors
        names = {TOKEN: "token", KEY: "key", HEADER_SECRET: "header", PROMPT_SECRET: "prompt"}
        seen = [
            f"{name} in {where}" for where, text in outputs.items() for secret, name in names.items() if secret in text
        ]
        return seen + [f"{names[secret]} in an answer" for secret in attacks["leaks"]]

    def report(
        self, stack: Stack, traffic: Traffic, faults: Faults, attacks: dict[str, dict[str, dict[str, int]]],
        slots: int, lost: list[str],
    ) -> bool:  # fmt: skip
        for line in faults.log:
            print(line)
        for name, got in attacks["got"].items():
            print(f"{name.replace('_', ' ')}: {sum(got.values())}: {got}")
        print(f"good requests by kind: {dict(traffic.done)}")
        for failure, count in traffic.failures.most_common(20):
            print(f"  failed {count} times, first at {traffic.first_failures[failure]}: {failure}")
        for line in lost[:20]:
            print(f"  lost: {line}")
        for number, samples in self.memory.items():
            series = ", ".join(f"{megabytes:.0f}" for _, megabytes in samples[:: max(1, len(samples) // 20)])
            print(f"RSS of gateway {number} in MB: {series}")
        requests = self.requests()
        secrets = self.secrets(stack, attacks)
        calm, siege = traffic.p99("calm"), traffic.p99("siege")
        p99_met = siege - calm <= P99_BUDGET
        own_delay = " → ".join(f"{traffic.p99(phase, 'delays'):.0f}" for phase in ("calm", "siege")) + " ms"
        slopes = [
            (end - start) / (later - before) * 100_000 for (before, start), (later, end) in self.quiet_memory.values()
        ]
        slopes_text = ", ".join(f"{slope:+.1f}" for slope in slopes) + " MB"
        in_flight = ", ".join(f"{self.slope(number, requests):+.1f}" for number in self.memory) + " MB"
        quiet = ", ".join(f"{start:.1f} → {end:.1f}" for (_, start), (_, end) in self.quiet_memory.values()) + " MB"
        peak = max(megabytes for samples in self.memory.values() for _, megabytes in samples)
        logs = [gateway.process.output + gateway.process.errors for gateway in stack.gateways.values()]
        tracebacks = sum(log.count('"exception":') for log in logs)
        rows = [
            ("good requests", f"{sum(traffic.done.values()):,}", "", None),
            ("attackers' requests", f"{sum(sum(got.values()) for got in attacks['got'].values()):,}", "", None),
            ("good requests failed", str(traffic.failures.total()), "0", not traffic.failures),
            ("… inside a killed process", str(traffic.inside_killed), "", None),
            ("… refused with a reason, store away", str(traffic.store_away), "", None),
            ("p99 of short requests, calm → siege", f"{calm:.0f} → {siege:.0f} ms", f"≤ +{P99_BUDGET:.0f} ms", p99_met),
            ("… the clients' own delay in it", own_delay, "", None),
            ("RSS slope per 100,000 requests", slopes_text, f"< {SLOPE_BUDGET:g} MB", max(slopes) < SLOPE_BUDGET),
            ("… RSS without attackers, before → after", quiet, "", None),
            ("… slope with large bodies in flight", in_flight, "", None),
            ("RSS, highest", f"{peak:.0f} MB", "", None),
            ("slots of concurrentRuns left taken", str(slots), "0", slots == 0),
            ("records lost", str(len(lost)), "0", not lost),
            ("secrets in outputs", ", ".join(sorted(set(secrets))) or "0", "0", not secrets),
            ("tracebacks in logs", str(tracebacks), "0", tracebacks == 0),
        ]  # fmt: skip
        load = os.getloadavg()[0]
        print(f"\n{self.options.minutes:g} minutes, {requests:,} requests at nginx, load average {load:.1f}\n")
        print("| | measured | budget | met |\n| --- | --- | --- | --- |")
        for name, value, budget, met in rows:
            print(f"| {name} | {value} | {budget} | {'' if met is None else 'yes' if met else '**no**'} |")
        if self.options.logs:
            for address, gateway in stack.gateways.items():
                Path(self.options.logs, f"{address}.log").write_text(gateway.process.output + gateway.process.errors)
        return all(met is not False for *_, met in rows)


def on_a_small_disk() -> None:
    """Run again with mounts of our own, so that the disk that becomes full is not the machine's."""
    if os.environ.get("SIEGE_MOUNTS") == "own":
        return
    os.environ["SIEGE_MOUNTS"] = "own"
    flags = ["--mount"] if os.getuid() == 0 else ["--mount", "--map-root-user"]
    os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1.0, help="attackers' rates, times this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", default="", help="attacks to leave out, by name: bomb,refused_prompt")
    parser.add_argument("--logs", help="an existing folder for the gateways' logs")
    options = parser.parse_args()
    on_a_small_disk()
    os.chdir(ROOT)
    tests.process.MAX_WAIT = 180.0  # a killed gateway starts beside attackers
    with tempfile.TemporaryDirectory(prefix="siege-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", name], check=True)
        try:
            return 0 if asyncio.run(Siege(Path(name), options).run()) else 1
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(["umount", "--lazy", name], check=True)


if __name__ == "__main__":
    sys.exit(main())
