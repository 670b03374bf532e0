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
from typing import Any, cast

import aiohttp
import uvloop
from gateway_process import Gateway, running  # first: it makes the tests' certificates importable
from https_client import HttpsClient
from procfs import cpu_seconds

from tests.certificates import Authority

TOKEN = "token-of-the-reload-benchmark"
GENERATION = re.compile(r"generation (\d+)")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
MAX_WAITING = 200
FAILING = 0.1  # of the first attempts, so that a run goes on with the fallback


class Provider:
    """Says in each answer what it was shown; `seen` has the generations of each request, by the client's number."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.keys: Counter[str] = Counter()
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, head: bytes, body: dict[str, Any], transport: asyncio.Transport) -> None:
        """Answer one request."""
        task = asyncio.create_task(self._answer(head, body, transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, head: bytes, body: dict[str, Any], transport: asyncio.Transport) -> None:
        headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
        number = body["messages"][-1]["content"]
        prompt = GENERATION.search(body["messages"][0]["content"])
        self.seen[number] |= {int(headers["x-generation"]), int(prompt[1]) if prompt else -1}
        self.keys[headers["authorization"]] += 1
        if body["model"] == "first" and random.random() < FAILING:
            await asyncio.sleep(random.random() / 10)
            if not transport.is_closing():
                transport.write(_whole(500, {"error": {"message": "no"}}))
            return
        if not body.get("stream"):
            message = {"role": "assistant", "content": number}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            transport.write(_whole(200, {"object": "chat.completion", "choices": [choice]}))
            return
        long = number.startswith("stream")
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(headers.get("x-seconds", "1")) * 4 if long else 1):
            if transport.is_closing():
                return
            transport.write(_chunk(_event({"content": f"{number} "})))
            if long:
                await asyncio.sleep(0.25)
        transport.write(_chunk(_event({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async def start(self) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(lambda: _ProviderConnection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server


class _ProviderConnection(asyncio.Protocol):
    """One connection of the gateway to the provider; a request comes after the end of the answer before it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= int(LENGTH.search(head)[1]):
            self._buffer.clear()
            self._provider.handle(bytes(head), json.loads(body), self._transport)


def _whole(status: int, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(text),
        text,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


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
    """Requests at a steady rate, half of them on new connections, and streams one after the other.

    At most MAX_WAITING requests wait at the same time: a machine that can't keep up lowers the rate.
    """

    def __init__(self, gateway: Gateway, files: Files) -> None:
        self.port = gateway.port
        self.trust = ssl.create_default_context(cafile=files.authority.file)
        self.errors: Counter[str] = Counter()
        self.times: list[float] = []
        self.requests = self.streams = self.handshakes = self.stream_seconds = 0
        self.stopped = False
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def client(self) -> HttpsClient:
        lines = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        return HttpsClient(self.port, self.trust, lines)

    async def ask(self, client: HttpsClient, name: str, *, stream: bool, fresh: bool = False) -> None:
        body = {"model": "openclaw", "stream": stream, "messages": [{"role": "user", "content": name}]}
        started = time.monotonic()
        try:
            status, answer = await client.post("/v1/chat/completions", json.dumps(body).encode(), fresh=fresh)
        except OSError as error:  # ConnectionError and ssl.SSLError are some
            self.errors[f"{type(error).__name__}: {error}"] += 1
        else:
            good = (
                name.encode() in answer and b'"error"' not in answer and (not stream or b"data: [DONE]\n\n" in answer)
            )
            if status != 200 or not good:
                self.errors[f"{status} {answer[-200:]!r}"] += 1
        self.times.append(time.monotonic() - started)

    async def steady(self, rate: float) -> None:
        client = self.client()
        due = time.monotonic()
        places = asyncio.Semaphore(MAX_WAITING)
        while not self.stopped:
            await places.acquire()
            self._number += 1
            new = self._number % 2 == 0
            self.handshakes += new
            self.requests += 1
            task = asyncio.create_task(
                self.ask(client, f"request {self._number}", stream=self._number % 4 == 0, fresh=new)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: places.release())
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*self._tasks)
        client.close()

    async def stream(self, number: int) -> None:
        client, count = self.client(), 0
        while not self.stopped:
            count += 1
            self.streams += 1
            await self.ask(client, f"stream {number} {count}", stream=True)
        client.close()


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
    server = await provider.start()
    files = Files(state, provider.url, arguments.stream_seconds)
    async with running(files.config(), state, file=files.file) as gateway:
        load = Load(gateway, files)
        tasks = [asyncio.create_task(load.steady(arguments.rate))]
        tasks += [asyncio.create_task(load.stream(number)) for number in range(arguments.streams)]
        started = time.monotonic()
        memory, cpu, own_cpu = gateway.megabytes, cpu_seconds(gateway.pid), time.process_time()
        connector = aiohttp.TCPConnector(ssl=load.trust)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(
            f"https://127.0.0.1:{gateway.port}", connector=connector, headers=headers
        ) as session:
            changes = Changes(files, load, session)
            good, bad = itertools.cycle(changes.good), itertools.cycle(changes.bad)
            for number in range(arguments.changes):
                due = time.monotonic() + arguments.pause
                await next(bad if number % 5 in (1, 3) else good)()
                await asyncio.sleep(due - time.monotonic())
            changing = time.monotonic() - started
            load.stopped = True
            await asyncio.gather(*tasks)
            async with session.get("/api/v1/config") as response:
                status = await response.json()
        took = time.monotonic() - started
        memory, cpu = gateway.megabytes - memory, cpu_seconds(gateway.pid) - cpu
        own_cpu = time.process_time() - own_cpu
    server.close()
    mixed = [number for number, shown in provider.seen.items() if len(shown) != 1]
    times = sorted(load.times)
    print(f"{sum(changes.done.values())} changes in {took:.0f} s; generation {status['generation']} at the end")
    for kind, count in sorted(changes.done.items()):
        print(f"  {count:4} {kind}")
    print(
        f"{load.requests} requests ({load.requests / changing:.0f}/s while files changed), {load.streams} streams, "
        f"{load.handshakes} handshakes"
    )
    if load.requests < 0.95 * arguments.rate * changing:
        print(f"this machine was too slow for {arguments.rate:.0f} requests/s")
    print(f"CPU seconds: gateway {cpu:.1f} ({cpu / took:.2f} per second), load and provider {own_cpu:.1f}")
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
    parser.add_argument("--pause", type=float, default=0.25, help="seconds from one change to the next, at least")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(measured(arguments, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
