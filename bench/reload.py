"""Whether a configuration can be changed under load without harming a request: `python bench/reload.py`. See README.md.

One gateway with TLS serves requests on reused and on new connections, and long streams, while its files are changed in
every way that editors, tools and accidents change them. The provider compares what all attempts of a request show it of
the configuration: a header of its row, and the agent's prompt. Exit status 1 if a request or a handshake failed, if one
request saw two generations, or if a bad file was not refused by name.
"""

import argparse
import asyncio
import itertools
import json
import random
import re
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from gateway_process import Gateway, running  # first: it makes the tests' certificates importable

from tests.certificates import Authority

TOKEN = "token-of-the-reload-benchmark"
GENERATION = re.compile(r"generation (\d+)")
FAILING = 0.1  # of the first attempts, so that a run goes on with the fallback


class Provider:
    """Says in each answer what it was shown; `seen` has the generations of each request, by the client's number."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.keys: Counter[str] = Counter()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = body["messages"][-1]["content"]
        prompt = GENERATION.search(body["messages"][0]["content"])
        shown = {int(request.headers["x-generation"]), int(prompt[1]) if prompt else -1}
        self.seen[number] |= shown
        self.keys[request.headers["Authorization"]] += 1
        if body["model"] == "first" and random.random() < FAILING:
            await asyncio.sleep(random.random() / 10)
            return web.json_response({"error": {"message": "no"}}, status=500)
        if not body.get("stream"):
            message = {"role": "assistant", "content": number}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"object": "chat.completion", "choices": [choice]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(int(request.headers.get("x-seconds", "1")) * 4 if number.startswith("stream") else 1):
            await response.write(_event({"content": f"{number} "}))
            await asyncio.sleep(0.25 if number.startswith("stream") else 0)
        await response.write(_event({}, "stop") + b"data: [DONE]\n\n")
        return response

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


class Files:
    """The gateway's files: `..data` links to the folder in force, as in a Kubernetes volume."""

    def __init__(self, state: Path, provider: str, seconds: int) -> None:
        self.state = state
        self.provider = provider
        self.seconds = seconds
        self.generation = 0
        self.folders = 0
        self.authority = Authority(state / "tls")
        self.served = self.authority.issue("server")
        (state / "first").mkdir()
        (state / "..data").symlink_to("first")
        (state / "secret").symlink_to("..data/secret")
        self.data = state / "first"
        (self.data / "secret").write_text("key-of-the-provider-0", encoding="utf-8")
        self.file = state / "gateway.json5"
        self.file.symlink_to("..data/gateway.json5")
        (self.data / "gateway.json5").write_text(json.dumps(self.config()), encoding="utf-8")

    def config(self) -> dict[str, Any]:
        row = {
            "baseUrl": self.provider,
            "apiKey": {"source": "file", "provider": "secret", "id": "value"},
            "headers": {"x-generation": str(self.generation), "x-seconds": str(self.seconds)},
        }
        return {
            "gateway": {
                "auth": {"mode": "token", "token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
                "tls": {"enabled": True, "certPath": str(self.served.certificate), "keyPath": str(self.served.key)},
                "retry": {"maxRetries": 0},
                "drain": {"noticeMs": 0},
            },
            "secrets": {
                "providers": {"secret": {"source": "file", "path": str(self.state / "secret"), "mode": "singleValue"}}
            },
            "agents": {
                "defaults": {
                    "systemPrompt": f"generation {self.generation}",
                    "model": {"primary": "a/first", "fallbacks": ["b/second"]},
                },
                "entries": {"main": {}},
            },
            "models": {
                "mode": "replace",
                "providers": {
                    "a": row | {"models": [{"id": "first"}]},
                    "b": row | {"models": [{"id": "second"}]},
                },
            },
        }

    def next(self) -> str:
        self.generation += 1
        return json.dumps(self.config())

    def replace(self, name: str, text: str) -> None:
        new = self.data / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.rename(self.data / name)

    def swap(self, text: str) -> None:
        """A new folder with this configuration, put in place in one step."""
        self.folders += 1
        folder = self.state / f"..{self.folders}"
        shutil.copytree(self.data, folder)
        (folder / "gateway.json5").write_text(text, encoding="utf-8")
        (self.state / "..new").symlink_to(folder.name)
        (self.state / "..new").rename(self.state / "..data")
        old, self.data = self.data, folder
        shutil.rmtree(old)


class Load:
    """Requests at a steady rate, half of them on new connections, and streams one after the other."""

    def __init__(self, gateway: Gateway, files: Files) -> None:
        self.base = f"https://127.0.0.1:{gateway.port}"
        self.trust = ssl.create_default_context(cafile=files.authority.file)
        self.errors: Counter[str] = Counter()
        self.times: list[float] = []
        self.requests = self.streams = self.handshakes = self.stream_seconds = 0
        self.stopped = False
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def session(self, *, reused: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.trust, force_close=not reused, limit=0)
        return aiohttp.ClientSession(self.base, connector=connector, headers={"Authorization": f"Bearer {TOKEN}"})

    async def ask(self, session: aiohttp.ClientSession, name: str, *, stream: bool) -> None:
        body = {"model": "openclaw", "stream": stream, "messages": [{"role": "user", "content": name}]}
        started = time.monotonic()
        try:
            async with session.post("/v1/chat/completions", json=body) as response:
                text = await response.text()
                good = name in text and '"error"' not in text and (not stream or text.endswith("data: [DONE]\n\n"))
                if response.status != 200 or not good:
                    self.errors[f"{response.status} {text[-200:]}"] += 1
        except aiohttp.ClientError as error:
            self.errors[f"{type(error).__name__}: {error}"] += 1
        self.times.append(time.monotonic() - started)

    async def steady(self, rate: float) -> None:
        async with self.session(reused=True) as reused, self.session(reused=False) as fresh:
            due = time.monotonic()
            while not self.stopped:
                self._number += 1
                new = self._number % 2 == 0
                self.handshakes += new
                self.requests += 1
                task = asyncio.create_task(
                    self.ask(fresh if new else reused, f"request {self._number}", stream=self._number % 4 == 0)
                )
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                due = max(due + 1 / rate, time.monotonic() - 1)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.gather(*self._tasks)

    async def stream(self, number: int) -> None:
        async with self.session(reused=True) as session:
            count = 0
            while not self.stopped:
                count += 1
                self.streams += 1
                await self.ask(session, f"stream {number} {count}", stream=True)


class Changes:
    """Changes files, and checks what the gateway says of it."""

    def __init__(self, files: Files, load: Load, session: aiohttp.ClientSession) -> None:
        self.files = files
        self.load = load
        self.session = session
        self.done: Counter[str] = Counter()
        self.unnamed: list[str] = []
        self.secrets = 0
        self.good: list[Callable[[], Awaitable[None]]] = [
            self.replaced, self.swapped, self.rotated_secret, self.rotated_certificate,
        ]  # fmt: skip
        self.bad: list[Callable[[], Awaitable[None]]] = [
            self.truncated, self.not_json, self.wrong_key, self.emptied_secret, self.foreign_key, self.missing,
        ]  # fmt: skip

    async def asked(self) -> tuple[int, dict[str, Any]]:
        async with self.session.post("/api/v1/reload") as response:
            return response.status, await response.json()

    async def noticed(self, status: str, since: float) -> dict[str, Any]:
        """Wait for the watch to come to this result."""
        async with asyncio.timeout(30):
            while True:
                async with self.session.get("/api/v1/config") as response:
                    last = (await response.json())["last_reload"]
                if last and last["trigger"] == "file" and last["status"] == status and last["at"] >= int(since):
                    return dict(last)
                await asyncio.sleep(0.1)

    async def accepted(self, kind: str) -> None:
        self.done[f"valid: {kind}"] += 1
        if random.random() < 0.1:
            await self.noticed("accepted", time.time())
            return
        status, body = await self.asked()
        if status != 200:
            self.unnamed.append(f"{kind}: {status} {body}")

    async def refused(self, kind: str, name: str, restore: Callable[[], None]) -> None:
        self.done[f"broken: {kind}"] += 1
        if random.random() < 0.1:
            problems = str(await self.noticed("refused", time.time()))
        else:
            status, body = await self.asked()
            problems = body["error"]["message"] if status == 422 else f"{status}"
        if name not in problems:
            self.unnamed.append(f"{kind}: {problems}")
        restore()
        await self.asked()

    async def replaced(self) -> None:
        self.files.replace("gateway.json5", self.files.next())
        await self.accepted("replaced file")

    async def swapped(self) -> None:
        self.files.swap(self.files.next())
        await self.accepted("swapped link")

    async def rotated_secret(self) -> None:
        self.secrets += 1
        self.files.replace("secret", f"key-of-the-provider-{self.secrets}")
        await self.accepted("rotated secret")

    async def rotated_certificate(self) -> None:
        self.files.authority.issue("server")
        await self.accepted("rotated certificate")

    def _restored(self) -> None:
        self.files.replace("gateway.json5", json.dumps(self.files.config()))

    async def truncated(self) -> None:
        text = json.dumps(self.files.config())
        (self.files.data / "gateway.json5").write_text(text[: random.randrange(len(text))], encoding="utf-8")
        await self.refused("truncated in place", "gateway.json5", self._restored)

    async def not_json(self) -> None:
        self.files.swap(json.dumps(self.files.config()).replace(":", "=", 1))
        await self.refused("no JSON5, by link", "gateway.json5", self._restored)

    async def wrong_key(self) -> None:
        self.files.replace("gateway.json5", json.dumps(self.files.config() | {"gateway": {"prot": 1}}))
        await self.refused("unknown key", "gateway.prot", self._restored)

    async def emptied_secret(self) -> None:
        (self.files.data / "secret").write_text("", encoding="utf-8")
        text = f"key-of-the-provider-{self.secrets}"
        await self.refused("emptied secret", "secret", lambda: self.files.replace("secret", text))

    async def foreign_key(self) -> None:
        served = self.files.served
        before = served.key.read_bytes()
        new = served.key.with_suffix(".new")
        new.write_bytes(self.files.authority.issue("another").key.read_bytes())
        new.rename(served.key)
        await self.refused("key of another certificate", str(served.certificate), lambda: _rewrite(served.key, before))

    async def missing(self) -> None:
        (self.files.data / "gateway.json5").unlink()
        await self.refused("removed", "gateway.json5", self._restored)


def _rewrite(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.rename(file)


async def measured(arguments: argparse.Namespace, state: Path) -> bool:
    """Run, print, and return whether all is well."""
    provider = Provider()
    runner = await provider.start()
    files = Files(state, provider.url, arguments.stream_seconds)
    async with running(files.config(), state, file=files.file) as gateway:
        load = Load(gateway, files)
        tasks = [asyncio.create_task(load.steady(arguments.rate))]
        tasks += [asyncio.create_task(load.stream(number)) for number in range(arguments.streams)]
        started = time.monotonic()
        memory = gateway.megabytes
        async with load.session(reused=True) as session:
            changes = Changes(files, load, session)
            good, bad = itertools.cycle(changes.good), itertools.cycle(changes.bad)
            for number in range(arguments.changes):
                await next(bad if number % 5 in (1, 3) else good)()
            load.stopped = True
            await asyncio.gather(*tasks)
            async with session.get("/api/v1/config") as response:
                status = await response.json()
        took = time.monotonic() - started
        memory = gateway.megabytes - memory
    await runner.cleanup()
    mixed = [number for number, shown in provider.seen.items() if len(shown) != 1]
    times = sorted(load.times)
    print(f"{sum(changes.done.values())} changes in {took:.0f} s; generation {status['generation']} at the end")
    for kind, count in sorted(changes.done.items()):
        print(f"  {count:4} {kind}")
    print(
        f"{load.requests} requests ({load.requests / took:.0f}/s), {load.streams} streams, {load.handshakes} handshakes"
    )
    print(f"median {times[len(times) // 2] * 1000:.0f} ms, memory {memory:+.0f} MB, {len(provider.keys)} keys used")
    print(f"errors: {sum(load.errors.values())}  {dict(load.errors.most_common(3))}")
    print(f"requests that saw two generations: {len(mixed)}")
    print(f"bad files not refused by name, or good ones refused: {len(changes.unnamed)}  {changes.unnamed[:3]}")
    return not (load.errors or mixed or changes.unnamed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second")
    parser.add_argument("--streams", type=int, default=20, help="at the same time")
    parser.add_argument("--stream-seconds", type=int, default=30, help="length of one")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(measured(arguments, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
