"""The good requests of `siege.py`: every kind, each answer checked; at the end, every acknowledged record is read."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from urllib.parse import quote

import aiohttp
from siege_provider import TEXT

PAUSE = 0.4  # seconds, at most, between two requests of a client
TICK = 0.02  # seconds between two looks at the clients' own delay
LIMIT = 60.0  # seconds for an answer
AFTERMATH = 12.0  # seconds in which a store that was away may still refuse: leases of dead instances last 10 s
SHORT_KINDS = ("models", "chat", "embeddings")  # whose durations count


class Refused(Exception):
    """An honest refusal: an error object with a reason, by status 503, or 409 for a conversation."""


@dataclass
class Window:
    """A time during which some failures are not the gateway's: of a killed process, or of a store that is away."""

    kind: str
    began: float
    ended: float = float("inf")

    def covers(self, began: float, ended: float) -> bool:
        return began <= self.ended and ended >= self.began


@dataclass
class Traffic:
    """What happened to the good requests. `windows` are set by the faults."""

    url: str
    token: str
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Durations of short requests, by phase."""
    delays: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By how much the event loop of these clients was late, in seconds: the measurement's own part of `seconds`."""
    phase: str = "calm"
    done: Counter[str] = field(default_factory=Counter)
    inside_killed: int = 0
    store_away: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    first_failures: dict[str, str] = field(default_factory=dict)
    """When each of them happened first."""
    windows: list[Window] = field(default_factory=list)
    turns: Counter[str] = field(default_factory=Counter)
    """Acknowledged turns by conversation."""
    responses: set[str] = field(default_factory=set)
    """Acknowledged, stored responses."""
    background: dict[str, float] = field(default_factory=dict)
    """When accepted background runs began."""
    flushed: float = 0.0
    runs_limit: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def window(self, kind: str, seconds: float = 0.0) -> Window:
        window = Window(kind, time.monotonic())
        if seconds:
            window.ended = window.began + seconds
        self.windows.append(window)
        return window

    def excused(self, kind: str, began: float) -> bool:
        return any(window.kind == kind and window.covers(began, time.monotonic()) for window in self.windows)

    async def watch_delays(self) -> None:
        """Fill `delays` until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + TICK
            await asyncio.sleep(TICK)
            self.delays[self.phase].append(clock() - due)

    def p99(self, phase: str, measured: str = "seconds") -> float:
        """Milliseconds, of `seconds` or `delays`."""
        seconds = getattr(self, measured)[phase]
        return quantiles(seconds, n=100)[98] * 1000 if len(seconds) > 100 else float("nan")

    async def run(self) -> None:
        """Serve as clients until `stopped`."""
        kinds: list[tuple[Callable[[Client], Awaitable[None]], int]] = [
            (Client.models, 2),
            (Client.chat, 4),
            (Client.stream, 4),
            (Client.embeddings, 3),
            (Client.respond, 2),
            (Client.respond_streamed, 2),
            (Client.run_in_background, 2),
            (Client.converse, 4),
            (Client.list_sessions, 1),
        ]
        clients = [act for act, count in kinds for _ in range(count)]
        async with asyncio.TaskGroup() as group:
            for number, act in enumerate(clients):
                group.create_task(Client(self, number).repeat(act))

    def failed(self, kind: str, began: float, error: Exception, *, needs_store: bool) -> None:
        """Count a failed request as what it is."""
        if self.excused("killed", began) and not isinstance(error, AssertionError):
            self.inside_killed += 1
        elif needs_store and (
            (isinstance(error, Refused) and self.excused("store", began))
            or began < self.flushed  # what it needed was deleted meanwhile, or is being deleted
        ):
            self.store_away += 1
        else:
            self.failures[f"{kind}: {error!r}"[:300]] += 1
            self.first_failures.setdefault(f"{kind}: {error!r}"[:300], time.strftime("%H:%M:%S"))


class Client:
    """One client with an address of its own."""

    session: aiohttp.ClientSession

    def __init__(self, traffic: Traffic, number: int) -> None:
        self.traffic = traffic
        self.number = number
        self.random = random.Random(number)

    def open(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.traffic.token}", "X-Test-Client": f"203.0.113.{self.number}"}
        timeout = aiohttp.ClientTimeout(total=LIMIT)
        return aiohttp.ClientSession(self.traffic.url, headers=headers, timeout=timeout)

    async def once(self, act: Callable[["Client"], Awaitable[None]]) -> None:
        async with self.open() as self.session:
            await act(self)

    async def repeat(self, act: Callable[["Client"], Awaitable[None]]) -> None:
        async with self.open() as self.session:
            while not self.traffic.stopped.is_set():
                await act(self)
                await asyncio.sleep(self.random.random() * PAUSE)

    @contextmanager
    def counted(self, kind: str, *, needs_store: bool = False) -> Iterator[None]:
        began = time.monotonic()
        phase = self.traffic.phase
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, AssertionError, Refused) as error:
            self.traffic.failed(kind, began, error, needs_store=needs_store)
        else:
            self.traffic.done[kind] += 1
            if kind in SHORT_KINDS:
                self.traffic.seconds[phase].append(time.monotonic() - began)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> str:
        """The text of a 200. Raises Refused or ValueError for other answers."""
        async with self.session.request(method, path, json=body, headers=headers) as response:
            text = await response.text()
            if response.status == 200:
                if limit := response.headers.get("RateLimit"):
                    self.traffic.runs_limit = int(limit.partition("r=")[2].partition(";")[0])
                return text
            if response.status in (409, 503) and "error" in json.loads(text):
                raise Refused(f"{response.status} {text[:200]}")
            raise ValueError(f"{response.status} {text[:200]}")

    async def models(self) -> None:
        with self.counted("models"):
            assert "openclaw/quick" in await self.ask("GET", "/v1/models")

    def body(self, **fields: Any) -> dict[str, Any]:
        return {"model": "openclaw/quick", "messages": [{"role": "user", "content": "hi"}], **fields}

    async def chat(self) -> None:
        with self.counted("chat"):
            answer = json.loads(await self.ask("POST", "/v1/chat/completions", self.body()))
            assert answer["choices"][0]["message"]["content"] == TEXT

    async def stream(self) -> None:
        with self.counted("stream"):
            text = await self.ask("POST", "/v1/chat/completions", self.body(stream=True))
            events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
            if events[-1:] != ["[DONE]"] or '"error"' in text:
                raise ValueError(f"a cut stream: {text[-200:]}")
            deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
            assert "".join(delta.get("content") or "" for delta in deltas) == TEXT

    async def embeddings(self) -> None:
        with self.counted("embeddings"):
            answer = json.loads(await self.ask("POST", "/v1/embeddings", {"model": "openclaw", "input": "hi"}))
            assert answer["data"][0]["embedding"] == [0.5, -0.5, 0.5, -0.5]

    async def respond(self) -> None:
        began = time.monotonic()
        with self.counted("response"):
            self._stored(
                json.loads(await self.ask("POST", "/v1/responses", {"model": "openclaw/quick", "input": "hi"})), began
            )

    async def respond_streamed(self) -> None:
        began = time.monotonic()
        with self.counted("streamed response"):
            body = {"model": "openclaw/quick", "input": "hi", "stream": True}
            text = await self.ask("POST", "/v1/responses", body)
            events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            if events[-1]["type"] != "response.completed":
                raise ValueError(f"ended as {events[-1]}"[:300])
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            self._stored(events[-1]["response"], began)

    def _stored(self, response: dict[str, Any], began: float) -> None:
        assert response["status"] == "completed"
        assert response["output"][-1]["content"][0]["text"] == TEXT
        if response["store"] and began > self.traffic.flushed:
            self.traffic.responses.add(response["id"])

    async def run_in_background(self) -> None:
        began = time.monotonic()
        with self.counted("background run", needs_store=True):
            body = {"model": "openclaw/quick", "input": "hi", "background": True}
            response = json.loads(await self.ask("POST", "/v1/responses", body))
            self.traffic.background[response["id"]] = began
            while response["status"] in ("queued", "in_progress"):
                await asyncio.sleep(0.3)
                response = json.loads(await self.ask("GET", f"/v1/responses/{response['id']}"))
            if response["status"] != "completed":
                raise Refused(f"{response['status']} {response.get('error')}")

    async def converse(self) -> None:
        began = time.monotonic()
        user = f"good-{self.number}-{self.random.randrange(5)}"
        with self.counted("conversation", needs_store=True):
            answer = json.loads(await self.ask("POST", "/v1/chat/completions", self.body(user=user)))
            assert answer["choices"][0]["message"]["content"] == TEXT
            if began > self.traffic.flushed:
                self.traffic.turns[user] += 1

    async def list_sessions(self) -> None:
        with self.counted("list of conversations", needs_store=True):
            json.loads(await self.ask("GET", "/api/v1/sessions?limit=10"))


async def lost_records(traffic: Traffic) -> list[str]:
    """What was acknowledged and is not there: turns, responses, and background runs without an end."""
    lost = []
    async with Client(traffic, 0).open() as session:
        for user, count in traffic.turns.items():
            key = quote(f"agent:quick:openai-user:{user}", safe="")
            async with session.get(f"/api/v1/sessions/{key}/export") as response:
                entries = (
                    [json.loads(line) for line in (await response.text()).splitlines()]
                    if response.status == 200
                    else []
                )
            stored = sum(entry.get("outcome") == "completed" for entry in entries)
            if stored < count:
                lost.append(f"{count - stored} of {count} turns of {user}")
        for identifier in traffic.responses:
            async with session.get(f"/v1/responses/{identifier}") as response:
                if response.status != 200:
                    lost.append(f"response {identifier}: {response.status}")
        for identifier, began in traffic.background.items():
            async with session.get(f"/v1/responses/{identifier}") as response:
                state = (await response.json()).get("status")
                if state in ("queued", "in_progress") or (response.status != 200 and began > traffic.flushed):
                    lost.append(f"background run {identifier}: {response.status} {state}")
    return lost
