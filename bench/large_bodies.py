"""What large bodies cost the gateway and other clients: `python bench/large_bodies.py`. See README.md here.

Sends many large prompts at once, then bodies of many JSON values one after another, while a client sends small
requests. Prints the answers by status, the highest resident memory, and the p99 of the small requests before and
meanwhile. The exit status is 1 if an answer was another than 200, 413 or 503 with `Retry-After`, if the memory passed
1 GB, or if the p99 grew by more than 50 ms.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import MEGABYTE, Gateway, running
from refused import TOKEN, chat, config, reply

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "embeddings": "/v1/embeddings"}
INPUTS, TOKENS = 2048, 146  # what OpenAI embeds at once: 2,048 inputs, 300,000 tokens
ANSWER = reply(
    "200 OK",
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    },
)
VECTORS = reply("200 OK", {"data": [{"index": index, "embedding": [0.5]} for index in range(INPUTS)]})
EXPECTED = ("200", "413", "503 with Retry-After")
MAX_MEMORY = 1000  # MB, resident
MAX_DELAY = 50  # ms that p99 of the small requests may grow, on a quiet machine
PAUSE = 0.5  # seconds between two bodies of one client
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


def body(kind: str) -> tuple[str, bytes]:
    """The path and the body of an attack."""
    if kind == "prompts":
        return PATHS["chat"], json.dumps(chat("prompt! " * int(19.5 * MEGABYTE / 8))).encode()
    if kind == "keys":
        return PATHS["chat"], json.dumps(chat("hi") | {"x": {f"k{i}": 1 for i in range(1_000_000)}}).encode()
    if kind == "allowed keys":
        return PATHS["chat"], json.dumps(chat("hi") | {"x": {f"k{i}": 1 for i in range(95_000)}}).encode()
    if kind in ("parts", "allowed parts"):
        part = {"type": "text", "text": "hi"}
        content = [part] * (500_000 if kind == "parts" else 32_000)
        return PATHS["chat"], json.dumps(chat("hi") | {"messages": [{"role": "user", "content": content}]}).encode()
    if kind in ("embedding keys", "token ids"):
        ids = [list(range(100_000, 100_000 + TOKENS))] * INPUTS
        field = {"input": ids} if kind == "token ids" else {"input": "hi", "x": {f"k{i}": 1 for i in range(300_000)}}
        return PATHS["embeddings"], json.dumps({"model": "openclaw/main", **field}).encode()
    item = {"role": "user", "content": "hi"}
    count = 200_000 if kind == "items" else 32_000
    return PATHS["responses"], json.dumps({"model": "openclaw", "store": False, "input": [item] * count}).encode()


KINDS = (
    *("prompts", "keys", "parts", "items", "allowed keys", "allowed parts", "allowed items"),
    *("embedding keys", "token ids"),
)


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything after half a second if the prompt is large, else at once."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            left = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
            large = left > MEGABYTE
            embeds = head.startswith(b"POST /v1/embeddings ")
            while left:
                left -= len(await reader.read(min(left, 2**20)))
            if large and not embeds:
                await asyncio.sleep(0.5)
            writer.write(VECTORS if embeds else ANSWER)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.close()


async def attack(port: int, kind: str, at_once: int, rounds: int) -> None:
    """Send the bodies and print the answers by status."""
    path, content = body(kind)
    statuses: Counter[str] = Counter()
    print("ready", flush=True)

    async def send() -> None:
        for _ in range(rounds):
            try:
                async with session.post(path, data=content) as answer:
                    await answer.read()
                    hint = " with Retry-After" if "Retry-After" in answer.headers else ""
                    statuses[f"{answer.status}{hint}"] += 1
            except aiohttp.ClientError as error:
                statuses[type(error).__name__] += 1
            await asyncio.sleep(PAUSE)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=HEADERS, connector=connector) as session:
        await asyncio.gather(*(send() for _ in range(at_once)))
    print(f"{len(content) / MEGABYTE:.1f} MB x {at_once * rounds}: {dict(statuses)}")


async def small(session: aiohttp.ClientSession, taken: list[float]) -> None:
    """One small request."""
    began = time.perf_counter()
    async with session.post(PATHS["chat"], json=chat("hi" * 500)) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    taken.append((time.perf_counter() - began) * 1000)


def p99(taken: list[float]) -> float:
    """The 99th percentile; the highest of a few."""
    return statistics.quantiles(taken, n=100)[98] if len(taken) > 100 else max(taken)


async def measure(gateway: Gateway, session: aiohttp.ClientSession, kind: str) -> bool:
    """Print a line for one kind of attack, and return whether it met its budgets."""
    quiet: list[float] = []
    for _ in range(200):
        await small(session, quiet)
        await asyncio.sleep(0.01)
    at_once, rounds = (50, 1) if kind == "prompts" else (2, 25)
    command = [sys.executable, __file__, "--attack", kind, str(gateway.port), str(at_once), str(rounds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()  # it has built its body
    line = asyncio.create_task(process.stdout.readline())
    busy: list[float] = []
    peak = 0.0
    while not line.done():
        await small(session, busy)
        peak = max(peak, gateway.megabytes)
        await asyncio.sleep(0.01)
    await process.wait()
    figures = f"small requests p99 {p99(quiet):.0f} -> {p99(busy):.0f} ms (max {max(busy):.0f}, {len(busy)} sent)"
    statuses = (await line).decode().strip()
    print(f"{kind:14} {statuses}, peak {peak:.0f} MB, {figures}")
    sys.stdout.flush()
    honest = all(status in EXPECTED for status in re.findall(r"'([^']*)'", statuses))
    return honest and peak <= MAX_MEMORY and p99(busy) <= p99(quiet) + MAX_DELAY


async def main(kinds: list[str]) -> None:
    """Run every kind of attack on one gateway. Exits with 1 if one of them missed a budget."""
    server = await asyncio.start_server(provide, "127.0.0.1", 0, limit=2**20)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        settings: dict[str, Any] = config(url, state, tools=False)
        provider = settings["models"]["providers"]["bench"]
        provider["models"] = [{"id": "m"}, {"id": "emb", "compat": {"supportsEmbeddingTokens": True}}]
        async with (
            running(settings, state) as gateway,
            aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=HEADERS) as session,
        ):
            within_budget = [await measure(gateway, session, kind) for kind in kinds]
    server.close()
    if not all(within_budget):
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind of body")
    parser.add_argument("--attack", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        named, at, clients, times = options.attack
        asyncio.run(attack(int(at), named, int(clients), int(times)))
    else:
        asyncio.run(main(options.only or list(KINDS)))
