"""Many requests of all kinds with faults and disconnects, and the provider's own books beside the gateway's ledger."""

import asyncio
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.fault.acts import CHUNKED, LAST, framed, head, refuses, replies
from tests.fault.canonical import DONE, chunk, event
from tests.fault.provider import Call, FaultProvider, Model

FAULTS = 0.05
KILLS = 0.04
SLOW = 0.05
"""Seconds between the parts of a stream to a client process, so that most kills are in the middle of one."""
CLIENT = Path(__file__).with_name("killed_client.py")
SLOTS = 1000
LIMITS: dict[str, Any] = {
    "limits": [{"name": "slots", "per": [], "concurrentRuns": SLOTS}],
    "budgets": [
        {"name": "tokens", "per": [], "tokens": 10**12},
        {"name": "money", "usd": 10**6, "hard": False},
    ],
}
"""Under which nothing is refused, and everything is reserved."""
PIECES = tuple(f"word{number} " for number in range(12))
_LAST_EVENTS = ("response.completed", "response.failed", "response.incomplete", "error")
_UNSENT = ("stale_connection", "connect_timeout")
_MAX_CALLS = 1000  # that the provider remembers
_FRAMES = tuple(framed(chunk({"content": piece})) for piece in PIECES)
_MARKER = re.compile(r"[a-z]+-[0-9.-]+")
KINDS = (
    "whole", "stream", "stream", "responses", "background", "embedding", "session", "messages", "compact", "socket",
    "count", "cancelled", "killed",
)  # fmt: skip


@dataclass
class Entry:
    """One request at the provider: what it billed, None where it sent no token counts; `done` if it sent all."""

    model: str
    usage: dict[str, int] | None = None
    bytes: int = 0
    done: bool = False
    fault: str = ""


@dataclass
class Books:
    """The provider's own books, by the marker in the prompt, in the order of arrival. An answer begins after a random
    part of `max_delay` seconds.
    """

    seed: int = 1
    max_delay: float = 0.0
    models: dict[str, Model] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - faults, not secrets

    async def act(self, call: Call) -> None:
        """Answer a request, perhaps with a fault, and note what it cost."""
        marker = _marker(call.body)
        entry = Entry(call.body["model"])
        if len(calls := self.models[entry.model].calls) > _MAX_CALLS:
            calls.clear()  # the books have what counts of them
        self.entries[marker].append(entry)
        draw = self._random.random()
        if self.max_delay:
            await asyncio.sleep(self._random.uniform(0, self.max_delay))
        if draw < FAULTS:
            entry.fault = self._random.choice(("500", "503", "429", "reset", "cut", "garbage"))
        if entry.fault.isdigit():
            await refuses(int(entry.fault))(call)
        elif entry.fault == "reset":
            call.reset()
        elif "input" in call.body:
            await self._embed(call, entry)
        elif call.streams:
            await self._stream(call, entry, pause=SLOW if marker.startswith("process") else 0)
        else:
            await self._whole(call, entry)

    def _usage(self) -> dict[str, int]:
        prompt, completion = self._random.randrange(1, 10_000), self._random.randrange(1, 1_000)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    async def _embed(self, call: Call, entry: Entry) -> None:
        entry.usage = {"prompt_tokens": self._random.randrange(1, 10_000), "completion_tokens": 0}
        entry.usage["total_tokens"] = entry.usage["prompt_tokens"]
        data = [{"object": "embedding", "index": index, "embedding": [0.5]} for index in range(len(call.body["input"]))]
        await replies(json.dumps({"object": "list", "data": data, "usage": entry.usage}).encode())(call)
        entry.done = True

    async def _whole(self, call: Call, entry: Entry) -> None:
        if entry.fault:
            entry.fault = "garbage"
            await replies(b'{"choices": 3')(call)
            return
        entry.usage = None if self._random.random() < 0.02 else self._usage()
        entry.bytes = 5
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        body = {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}
        await replies(json.dumps(body | ({"usage": entry.usage} if entry.usage else {})).encode())(call)
        entry.done = True

    async def _stream(self, call: Call, entry: Entry, pause: float) -> None:
        await call.send(head(headers=CHUNKED))
        for part in range(0, len(PIECES), 3):
            if part == len(PIECES) // 2 and entry.fault == "cut":
                await asyncio.sleep(0.02)
                call.reset()
                return
            if part == len(PIECES) // 2 and entry.fault == "garbage":
                await call.send(framed(b"data: {broken\n\n"))
                return
            entry.bytes += sum(map(len, PIECES[part : part + 3]))
            await call.send(b"".join(_FRAMES[part : part + 3]))
            await asyncio.sleep(pause)
        usage = None if self._random.random() < 0.02 else self._usage()
        last = [chunk({}, "stop"), *([event({"choices": [], "usage": usage})] if usage else []), DONE]
        entry.usage = usage
        await call.send(framed(*last) + LAST)
        entry.done = True


def _marker(body: dict[str, Any]) -> str:
    if "input" in body:
        return str(body["input"][0])
    users = [str(one["content"]) for one in reversed(body["messages"]) if one["role"] == "user"]
    return next(one for one in users if _MARKER.fullmatch(one))  # a compaction asks something else last


class Load:
    """Sends requests through a gateway. `statuses` counts what clients got."""

    def __init__(self, client: aiohttp.ClientSession, seed: int = 1) -> None:
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 - kinds of requests, not secrets
        self.statuses: Counter[str] = Counter()
        self.killed: set[str] = set()

    async def run(self, count: int, concurrency: int = 16) -> None:
        """Send `count` requests and wait for their ends, background answers included."""
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._worker(numbers))

    async def _worker(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            kind = self._random.choice(KINDS[:-1]) if self._random.random() > KILLS else "killed"
            marker = f"{kind}-{number}"
            try:
                status = await self._send(kind, marker)
            except (aiohttp.ClientError, ConnectionError) as error:
                status = type(error).__name__
            self.statuses[f"{kind} {status}"] += 1

    async def _send(self, kind: str, marker: str) -> object:
        headers = {"x-request-id": marker}
        chat = {"model": "openclaw", "messages": [{"role": "user", "content": marker}]}
        match kind:
            case "embedding":
                return await self._post("/v1/embeddings", {"model": "openclaw", "input": marker}, headers)
            case "responses":
                return await self._post("/v1/responses", {"model": "openclaw", "input": marker}, headers)
            case "background":
                return await self._background(marker, headers)
            case "session":
                headers["x-openclaw-session-key"] = f"s{self._random.randrange(10_000)}"
                return await self._post("/v1/chat/completions", chat, headers)
            case "messages":
                body = {**chat, "max_tokens": 500, "stream": self._random.random() < 0.5}
                return await self._post("/v1/messages", body, headers)
            case "count":
                return await self._post("/v1/messages/count_tokens", chat, headers)
            case "compact":
                return await self._post("/v1/responses/compact", {"model": "openclaw", "input": marker}, headers)
            case "socket":
                return await self._talk(marker, headers)
            case "cancelled":
                return await self._cancel(marker, headers)
            case "killed":
                return await self._kill(chat, marker, headers)
            case _:
                return await self._post("/v1/chat/completions", {**chat, "stream": kind == "stream"}, headers)

    async def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> object:
        async with self._client.post(path, json=body, headers=headers) as response:
            await response.read()
            return response.status

    async def _talk(self, marker: str, headers: dict[str, str]) -> object:
        """Some turns on a WebSocket; the client may close it in the middle of one."""
        turns, leaves = self._random.randrange(1, 4), self._random.random() < 0.2
        async with self._client.ws_connect("/v1/responses", headers=headers) as socket:
            for number in range(1, turns + 1):
                name = f"{marker}.{number}"
                await socket.send_json({"type": "response.create", "model": "openclaw", "input": name})
                if leaves and number == turns:
                    self.killed.add(name)
                    await asyncio.sleep(self._random.uniform(0, 0.03))
                    return "left"
                while (await socket.receive_json(timeout=60))["type"] not in _LAST_EVENTS:
                    pass
        return "closed"

    async def _cancel(self, marker: str, headers: dict[str, str]) -> object:
        """Cancel a background run at a random moment."""
        self.killed.add(marker)
        body = {"model": "openclaw", "input": marker, "background": True}
        async with self._client.post("/v1/responses", json=body, headers=headers) as response:
            made = await response.json()
            if response.status != 200:
                return response.status
        await asyncio.sleep(self._random.uniform(0, 0.03))
        async with self._client.post(f"/v1/responses/{made['id']}/cancel") as response:
            return (await response.json())["status"]

    async def _background(self, marker: str, headers: dict[str, str]) -> object:
        body = {"model": "openclaw", "input": marker, "background": True, "store": True}
        async with self._client.post("/v1/responses", json=body, headers=headers) as response:
            made = await response.json()
            if response.status != 200:
                return response.status
        while made["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
            async with self._client.get(f"/v1/responses/{made['id']}") as response:
                made = await response.json()
        return made["status"]

    async def kill_processes(self, count: int, port: int, token: str) -> set[str]:
        """Start client processes one after the other, and kill each (SIGKILL) at a random moment. Returns the requests
        that the kills broke.
        """
        broken = set()
        for number in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", CLIENT, str(port), token, str(number), stdout=asyncio.subprocess.PIPE
            )
            if process.stdout is None:
                raise AssertionError
            try:
                first = await process.stdout.readline()  # it is at work
                await asyncio.sleep(self._random.uniform(0, 0.5))
            finally:
                process.kill()
            printed = first + await process.stdout.read()
            await process.wait()
            broken.add(printed.decode().split()[-1])
        self.killed |= broken
        return broken

    async def _kill(self, chat: dict[str, Any], marker: str, headers: dict[str, str]) -> object:
        """Disconnect at a random moment."""
        self.killed.add(marker)
        async with self._client.post(
            "/v1/chat/completions", json={**chat, "stream": True}, headers=headers
        ) as response:
            for _ in range(self._random.randrange(3)):
                await response.content.readany()
            response.close()
        return "closed"


@dataclass
class Comparison:
    """Both books, row for row. `problems` are rows that are missing, double or different."""

    exact: int = 0
    estimated: int = 0
    unbilled: int = 0
    unsent: int = 0
    problems: list[str] = field(default_factory=list)


async def read_rows(client: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Every row of the ledger."""
    async with client.get("/api/v1/usage?by=row&since=1d") as response:
        assert response.status == 200, await response.text()
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def attempts_of(client: aiohttp.ClientSession) -> int:
    """How many rows the ledger has, none of them lost."""
    async with client.get("/api/v1/usage?by=endpoint&since=1d") as response:
        report = await response.json()
    assert report["lost_rows"] == 0
    return int(report["total"]["attempts"])


async def compared(
    client: aiohttp.ClientSession, books: Books, *, killed: set[str], hedged: bool = False, wait: float = 10.0
) -> Comparison:
    """Compare the books as soon as the runs of killed clients have ended, too. `hedged` attempts run in parallel."""
    expected = sum(map(len, books.entries.values()))
    async with asyncio.timeout(wait):
        while await attempts_of(client) < expected:
            await asyncio.sleep(0.1)
    rows = await read_rows(client)
    by_request: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_request[row["request"]].append(row)
    result = Comparison()
    for marker in books.entries.keys() | by_request.keys():
        booked = sorted(by_request.get(marker, []), key=lambda row: row["attempt"])
        billed = books.entries.get(marker, [])
        if hedged:  # one that began later may arrive first
            billed = sorted(billed, key=lambda entry: entry.model)
            booked.sort(key=lambda row: row["model"])
        _compare(result, marker, billed, booked, may_differ=marker in killed)
    return result


def _compare(
    result: Comparison, marker: str, billed: list[Entry], booked: list[dict[str, Any]], *, may_differ: bool
) -> None:
    sent = list(booked)
    for row in booked:  # the connection was closed, or not made, before the request arrived
        if row["error"] in _UNSENT and len(sent) > len(billed):
            sent.remove(row)
            result.unsent += 1
    if may_differ and len(sent) == len(billed) + 1 and sent[-1]["outcome"] == "cancelled":
        result.unsent += 1  # the client left before the request reached the provider
        sent.pop()
    if len(sent) != len(billed):
        result.problems.append(f"{marker}: {len(billed)} requests at the provider, {len(sent)} rows: {booked}")
        return
    for entry, row in zip(billed, sent, strict=True):
        tokens = entry.usage and (entry.usage["prompt_tokens"], entry.usage["completion_tokens"])
        if row["model"] != entry.model:
            result.problems.append(f"{marker}: {entry} at the provider, but {row}")
        elif entry.done and tokens and (row["prompt"], row["completion"]) == tokens:
            result.exact += row["usage_source"] == "provider"
        elif entry.done and tokens and not (may_differ and row["outcome"] == "cancelled"):
            result.problems.append(f"{marker}: {entry} at the provider, but {row}")
        elif row["usage_source"] == "estimated":
            result.estimated += 1
            if row["completion"] > -(-entry.bytes // 4):
                result.problems.append(f"{marker}: estimated above what was sent: {entry}, {row}")
        elif row["usage_source"] == "none" and entry.fault and not row["prompt"]:
            result.unbilled += 1
        else:
            result.problems.append(f"{marker}: {entry} at the provider, but {row}")


async def still_reserved(client: aiohttp.ClientSession) -> list[str]:
    """What is still reserved of budgets and limits of runs although every run has ended."""
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "last-1"}]}
    async with client.post("/v1/chat/completions", json=body) as response:  # it takes one slot itself
        taken = [f"slots: {text}" for text in [response.headers["RateLimit"]] if f";r={SLOTS - 1}" not in text]
    async with client.get("/api/v1/budgets") as response:
        budgets = (await response.json())["data"]
    assert {budget["name"] for budget in budgets} == {budget["name"] + "-budget" for budget in LIMITS["budgets"]}
    return taken + [f"{budget}" for budget in budgets if budget["reserved"]]


def serve_books(provider: FaultProvider, books: Books) -> None:
    """Let these models answer as the books say."""
    for name in ("first", "second", "vectors"):
        books.models[name] = provider.model(name, books.act)
