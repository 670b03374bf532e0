"""What provider faults cost clients at the default limits: `python bench/failover.py`. See README.md here.

One primary and one fallback, chat completions and responses, streamed and whole; every fault has its own models, and
all run concurrently. Then reasoning models, a client whose prompt always fails beside eight healthy ones, and
two instances on one Redis, one with a local failure. It takes about five minutes and exits with 1 if a row is not
met.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
from gateway_process import running  # first: it makes the tests' provider importable

from tests.fault.acts import closes, cuts, hangs, later, refuses, rejects_prefill, says, streams
from tests.fault.automaton import listen
from tests.fault.canonical import TEXT, TOKENS, ending, token_frames
from tests.fault.conftest import TOKEN, settings
from tests.fault.provider import Act, Call, FaultProvider
from tests.servers import redis_server

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
WAYS = {
    "chat streamed": (CHAT, True),
    "chat whole": (CHAT, False),
    "responses streamed": (RESPONSES, True),
    "responses whole": (RESPONSES, False),
}
NOISE = 60.0  # seconds during which the noisy client sends requests
OUTAGE = 60.0  # seconds
HEALTHY = 8  # other clients on the same model
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MALFORMED = b'data: {"choices":[{"delta":{"content":"lo\n\n'
OVERFLOW = "This model's maximum context length is 8 tokens"


@dataclass(frozen=True)
class Fault:
    """The acts of the primary, and the seconds within which the client must get its answer or the given error."""

    primary: tuple[Act, ...]
    within: float = 13.0
    times: int = 1
    error: str | None = None
    calls: int = 3
    fallback: tuple[Act, ...] = field(default_factory=lambda: (says(),))


def part(count: int, then: Act) -> Act:
    """The first `count` words of an answer, then another act."""
    return streams(token_frames(TOKENS[:count]), then=then, end=False)


FAULTS = {
    "429 with a hint, once": Fault((refuses(429, headers="Retry-After: 1\r\n"), says())),
    "429 for ever": Fault((refuses(429),)),
    "429 Retry-After: 55 for ever": Fault((refuses(429, headers="Retry-After: 55\r\n"),), within=4.0),
    "503 for ever": Fault((refuses(503),)),
    "500 once": Fault((refuses(500), says())),
    "reset of every request": Fault((cuts,)),
    "silent": Fault((hangs,)),
    "first event after 20 s": Fault((later(20.0, says()),)),
    "cut at word 40 of 60": Fault((part(40, cuts), says())),
    "20 words, 30 s of silence, close": Fault((part(20, later(30.0, closes)),), within=20.0, times=5),
    "25 s of silence, close": Fault((later(25.0, closes),), within=20.0),
    "malformed event, once": Fault((streams([*token_frames(TOKENS[:20]), MALFORMED, *ending()]), says())),
    "no [DONE]": Fault((streams([*token_frames(), *ending()[:2]]),)),
    "context overflow": Fault((refuses(400, OVERFLOW, code="context_length_exceeded"),)),
    "content filter": Fault((refuses(400, "no", code="content_filter"),), error="content_filter"),
    "prefill refused": Fault((part(20, cuts),), fallback=(rejects_prefill,)),
}
NOISY = {
    "500": refuses(500, "words for one client"),
    "403 as moderation": refuses(403, "words for one client", metadata={"reasons": ["violence"]}),
    "402": refuses(402, "words for one client"),
}


@dataclass
class Answer:
    """The answer that a client got, and its seconds."""

    text: str | None
    error: dict[str, Any] | None
    seconds: float


class Client:
    """A client of one gateway."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, agent: str, way: str = "chat whole", prompt: str = "hi") -> Answer:
        """Send one request."""
        path, stream = WAYS[way]
        body: dict[str, Any] = {"model": f"openclaw/{agent}", "stream": stream}
        body |= (
            {"messages": [{"role": "user", "content": prompt}]} if path == CHAT else {"input": prompt, "store": False}
        )
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._session.post(path, json=body) as response:
            raw = await response.read()
        text, error = read(path, raw, stream=stream and response.status == 200)
        return Answer(text, error, clock() - began)


def read(path: str, raw: bytes, *, stream: bool) -> tuple[str | None, dict[str, Any] | None]:
    """The text or the error object of an answer."""
    if not stream:
        payload = json.loads(raw)
        if payload.get("error"):
            return None, payload["error"]
        if path == CHAT:
            return payload["choices"][0]["message"]["content"], None
        return payload["output"][0]["content"][0]["text"], None
    if path == CHAT:
        heard = listen(raw)
        return (None if heard.error else heard.text), heard.error
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]
    if events[-1]["type"] != "response.completed":
        return None, events[-1].get("response", {}).get("error") or events[-1]
    return "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta"), None


class Report:
    """Prints the rows and records whether all were met."""

    def __init__(self) -> None:
        self.met = True

    def row(self, name: str, got: str, *, met: bool) -> None:
        """One line of the table."""
        self.met = self.met and met
        print(f"| {name:<42} | {got:<46} | {'yes' if met else 'NO':<3} |", flush=True)


def agents() -> dict[str, Any]:
    """An agent for each fault and kind of request, so that no cooldown affects another row."""
    chains = {
        slug(name, way, number): 2 for name, fault in FAULTS.items() for way in WAYS for number in range(fault.times)
    }
    chains |= {slug("thinking", way, count): count for way in WAYS for count in (1, 2)}
    chains |= {slug("noisy", name): 1 for name in NOISY} | {"outage": 2, "shared": 1}
    return {
        name: {"model": {"primary": f"fake/{name}-1", "fallbacks": [f"fake/{name}-2"][: count - 1]}}
        for name, count in chains.items()
    }


def slug(*parts: object) -> str:
    """The name of an agent."""
    return "-".join("".join(char if char.isalnum() else "_" for char in str(one).lower()) for one in parts)


def configuration(provider: FaultProvider, key: str = "k") -> dict[str, Any]:
    """A configuration with the default limits."""
    thinking = [slug("thinking", way, count) for way in WAYS for count in (1, 2)]
    models = [{"id": f"{name}-1", "name": name, "reasoning": True} for name in thinking]
    config = settings({"fake": {"baseUrl": provider.url, "apiKey": key, "models": models}}, agents())
    del config["gateway"]["retry"]
    return config


async def fault(report: Report, client: Client, provider: FaultProvider, name: str) -> None:
    """One row: all kinds of requests, `times` each, concurrently."""
    row = FAULTS[name]
    asked = [(way, slug(name, way, number)) for way in WAYS for number in range(row.times)]
    firsts = [provider.model(f"{agent}-1", *row.primary) for _, agent in asked]
    for _, agent in asked:
        provider.model(f"{agent}-2", *row.fallback)
    answers = await asyncio.gather(*(client.ask(agent, way) for way, agent in asked))
    if row.error is None:
        right = sum(answer.text == TEXT for answer in answers)
    else:
        right = sum((answer.error or {}).get("code") == row.error for answer in answers)
    slowest, max_calls = max(answer.seconds for answer in answers), max(len(model.calls) for model in firsts)
    got = f"{right} of {len(answers)} right, slowest {slowest:.1f} s, {max_calls} POSTs"
    report.row(name, got, met=right == len(answers) and slowest <= row.within and max_calls <= row.calls)


async def thinking(report: Report, client: Client, provider: FaultProvider) -> None:
    """A model that is marked as `reasoning` and is silent for a minute answers."""
    names = {(way, count): slug("thinking", way, count) for way in WAYS for count in (1, 2)}
    models = [provider.model(f"{name}-1", later(60.0, says())) for name in names.values()]
    for name in names.values():
        provider.model(f"{name}-2", says())
    answers = await asyncio.gather(*(client.ask(name, way) for (way, _), name in names.items()))
    right = sum(answer.text == TEXT for answer in answers)
    alone = all(len(model.calls) == 1 for model in models)
    got = f"{right} of {len(answers)} right, slowest {max(answer.seconds for answer in answers):.1f} s"
    report.row("thinking, silent for 60 s", got, met=right == len(answers) and alone)


async def outage(report: Report, client: Client, provider: FaultProvider) -> None:
    """A provider that is down for a minute, with one request per second."""
    clock = asyncio.get_running_loop().time
    end = clock() + OUTAGE

    async def down(call: Call) -> None:
        await (refuses(503) if clock() < end else says())(call)

    first, _ = provider.model("outage-1", down), provider.model("outage-2", says())
    answers = []
    while clock() < end + 5.0:
        answers.append(await client.ask("outage", "chat streamed"))
        await asyncio.sleep(1.0)
    right = sum(answer.text == TEXT for answer in answers)
    got = f"{right} of {len(answers)} right, {len(first.calls)} POSTs to the one that was down"
    report.row("outage of 60 s", got, met=right == len(answers))


async def neighbour(report: Report, client: Client, provider: FaultProvider, name: str) -> None:
    """One client repeats a prompt that always fails; eight others use the same model, which has no fallback."""
    agent, clock = slug("noisy", name), asyncio.get_running_loop().time

    async def particular(call: Call) -> None:
        await (NOISY[name] if call.body["messages"][-1]["content"] == "poison" else later(0.05, says()))(call)

    async def noisy() -> None:
        while True:
            await client.ask(agent, prompt="poison")

    async def healthy() -> None:
        end = clock() + NOISE
        while clock() < end:
            answers.append(await client.ask(agent))
            await asyncio.sleep(0.25)

    provider.model(f"{agent}-1", particular)
    answers: list[Answer] = []
    looping = asyncio.create_task(noisy())
    await asyncio.gather(*(healthy() for _ in range(HEALTHY)))
    looping.cancel()
    await asyncio.gather(looping, return_exceptions=True)
    failed = sum(answer.text != TEXT for answer in answers)
    p99 = quantiles([answer.seconds - 0.05 for answer in answers], n=100)[98]
    report.row(f"neighbour whose prompt gets {name}", f"{failed} of {len(answers)} failed, p99 +{p99:.2f} s",
               met=not failed and p99 < 1.0)  # fmt: skip


async def instances(report: Report, folder: Path) -> None:
    """Two instances on one Redis; the provider refuses or limits the key of one of them."""
    async with FaultProvider().serving() as provider, redis_server(folder) as redis, AsyncExitStack() as stack:
        clients = {}
        for key in ("healthy", "ill"):
            config = configuration(provider, f"key-of-the-{key}-instance")
            config["gateway"]["redis"] = {"url": redis.url}
            (folder / key).mkdir()
            clients[key] = await stack.enter_async_context(asking(config, folder / key))
        for name, refusal in (
            ("withdrawn key", refuses(401, "withdrawn")),
            ("key over its limit", refuses(429, headers="Retry-After: 300\r\n")),
        ):

            async def particular(call: Call, refusal: Act = refusal) -> None:
                await (refusal if "ill" in call.key else says())(call)

            provider.model("shared-1", particular)
            for _ in range(5):
                await clients["ill"].ask("shared")
            answers = [await clients["healthy"].ask("shared") for _ in range(50)]
            right = sum(answer.text == TEXT for answer in answers)
            report.row(f"another instance with a {name}", f"{right} of {len(answers)} right", met=right == len(answers))


@asynccontextmanager
async def asking(config: dict[str, Any], state: Path) -> AsyncIterator[Client]:
    """A client of its own gateway."""
    async with (
        running(config, state) as gateway,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{gateway.port}",
            headers=HEADERS,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session,
    ):
        yield Client(session)


async def run(options: argparse.Namespace) -> bool:
    """Print the table. Returns whether all rows are met."""
    report = Report()
    print(f"| {'fault':<42} | {'client got':<46} | met |\n| {'-' * 42} | {'-' * 46} | --- |")
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        (state / "faults").mkdir()
        (state / "redis").mkdir()
        async with FaultProvider().serving() as provider, asking(configuration(provider), state / "faults") as client:
            async with asyncio.TaskGroup() as group:
                for name in FAULTS:
                    if options.only in name:
                        group.create_task(fault(report, client, provider, name))
                if options.only in "thinking":
                    group.create_task(thinking(report, client, provider))
                if options.only in "outage":
                    group.create_task(outage(report, client, provider))
            for name in NOISY:
                if options.only in "neighbour":
                    await neighbour(report, client, provider, name)
        if options.only in "instances":
            await instances(report, state / "redis")
    return report.met


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)
