"""Whether many mixed requests and faults leak memory or sockets: `python bench/soak.py`. See README.md here.

One gateway gets alternately whole and streamed requests. A twentieth of all provider calls fail, and some clients
disconnect. Every answer is checked. Prints answers by outcome, the gateway's memory over time, its slope after the
warm-up, and the open sockets before and after.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway_process import Gateway, running  # first: it makes the tests' provider and client importable

from tests.fault.acts import closes, cuts, refuses, says, streams
from tests.fault.automaton import listen
from tests.fault.canonical import SHORT, TOKENS, ending, token_frames, whole
from tests.fault.conftest import TOKEN, settings
from tests.fault.provider import Call, FaultProvider

FAULTS = 0.05
LEAVE = 0.01
WORKERS = 16
LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
STREAM = b"".join([*token_frames(TOKENS[3:9]), *ending()])
HALF = b"".join(token_frames(TOKENS[3:6]))
GOOD = says(STREAM, whole(SHORT))
BAD = (
    refuses(500),
    refuses(503),
    refuses(429, headers="retry-after-ms: 5\r\n"),
    cuts,
    closes,
    streams(HALF),
    streams(HALF, then=closes, end=False),
    streams([HALF, b"data: {nonsense\n\n"]),
)


class Provider(FaultProvider):
    """Drops its recorded calls, because there are too many to store."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        for name in ("primary", "fallback"):
            self.model(name, self._act)

    async def _act(self, call: Call) -> None:
        for model in self.models.values():
            model.calls.clear()
        await (self._random.choice(BAD) if self._random.random() < FAULTS else GOOD)(call)


def request(number: int, *, stream: bool) -> bytes:
    """One request on a keep-alive connection."""
    body = json.dumps({"model": "openclaw/soak", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nX-Request-ID: s{number}\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one response, with either framing."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if (length := LENGTH.search(head)) is not None:
        return status, await reader.readexactly(int(length[1]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return status, body


def outcome(status: int, body: bytes, *, stream: bool) -> str:
    """The kind of answer. Raises AssertionError for an answer that a client must never get."""
    if status != 200:
        return f"error {status} {json.loads(body)['error']['type']}"
    if not stream:
        assert json.loads(body)["choices"][0]["message"]["content"] == SHORT
        return "whole answer"
    heard = listen(body)
    if heard.error is not None:
        assert SHORT.startswith(heard.text)
        return f"error in the stream, {heard.error['type']}"
    assert heard.text == SHORT
    return "streamed answer"


class Soak:
    """The clients, and their counts."""

    def __init__(self, gateway: Gateway, requests: int, seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.memory: list[tuple[int, float]] = []
        self._gateway = gateway
        self._requests = requests
        self._random = random.Random(seed)
        self._next = iter(range(requests))
        self._every = max(1, requests // 40)

    async def caller(self) -> None:
        """One keep-alive connection after the other, until all requests are made."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)
            try:
                if not await self._use(reader, writer):
                    return
            finally:
                writer.close()

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for number in self._next:
            if number % self._every == 0:
                self.memory.append((number, self._gateway.megabytes))
            stream = number % 2 == 0
            writer.write(request(number, stream=stream))
            if self._random.random() < LEAVE:
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), self._random.random() * 0.004)
                self.outcomes["left"] += 1
                writer.transport.abort()
                return True
            async with asyncio.timeout(60):
                self.outcomes[outcome(*await answer(reader), stream=stream)] += 1
        return False


def slope(points: list[tuple[int, float]]) -> float:
    """Megabytes per 100,000 requests: the least-squares line."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return above / sum((x - mean_x) ** 2 for x, _ in points) * 100_000


def configuration(provider: FaultProvider) -> dict[str, Any]:
    """An agent with a fallback at the same provider."""
    agent = {"model": {"primary": "fake/primary", "fallbacks": ["fake/fallback"]}}
    config = settings({"fake": {"baseUrl": provider.url, "apiKey": "k"}}, {"soak": agent})
    limits = (
        "firstEventTimeoutMs",
        "idleTimeoutMs",
        "lastFirstEventTimeoutMs",
        "lastIdleTimeoutMs",
        "silenceTimeoutMs",
    )
    config["gateway"]["retry"] |= dict.fromkeys(limits, 10_000)
    return config | {"logging": {"level": "error"}}


async def run(options: argparse.Namespace) -> bool:
    """Run the soak test and print its results. Returns whether the budgets are met."""
    with tempfile.TemporaryDirectory() as state:
        async with (
            Provider(options.seed).serving() as provider,
            running(configuration(provider), Path(state)) as gateway,
        ):
            before, began = gateway.sockets, time.monotonic()
            soak = Soak(gateway, options.requests, options.seed)
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(soak.caller())
            took = time.monotonic() - began
            after = await gateway.settled(before, 75.0)  # idle connections to the provider end within a minute
            soak.memory.append((options.requests, gateway.megabytes))
    print(f"{options.requests} requests in {took:.0f} s")
    for name, count in soak.outcomes.most_common():
        print(f"  {count:8} {name}")
    print("RSS in MB:", ", ".join(f"{megabytes:.1f}" for _, megabytes in soak.memory[::4]))
    warm = [point for point in soak.memory if point[0] >= options.requests // 4]
    print(f"slope after the first quarter: {slope(warm):+.2f} MB per 100,000 requests")
    print(f"open sockets: {before} before, {after} after")
    return slope(warm) < 2.0 and after <= before


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)
