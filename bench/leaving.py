"""The time until a provider notices that a client has disconnected, in every phase of a run: `python bench/leaving.py`.

A thousand clients disconnect from one gateway, phase by phase. With a connection to the provider, the time is from the
client's close to the end of that connection. Without one, it is until the operator's route, polled every two
milliseconds, reports the end of the run. Afterwards the gateway must have as many sockets and as much memory as before,
and no running run.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
from gateway_process import Gateway, running  # first: it makes the tests' provider importable

from tests.fault.acts import hangs, refuses, says, streams
from tests.fault.canonical import token_frames
from tests.fault.conftest import TOKEN, settings
from tests.fault.provider import Act, FaultProvider
from tests.process import unaccepting_port

BUDGET = 0.05  # seconds, for p99
TIMEOUT = 10.0
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Phase:
    """The model's acts, whether the request is streamed, and the number of calls when the client disconnects."""

    acts: tuple[Act, ...]
    stream: bool = True
    calls: int = 1
    connected: bool = True
    shows: bytes = b""


PHASES = {
    "queued": Phase((refuses(429, headers="Retry-After: 600\r\n"), says()), calls=0, connected=False),
    "connecting": Phase((), calls=0, connected=False),
    "waiting": Phase((hangs,)),
    "streaming": Phase((streams(token_frames()[:3], then=hangs, end=False),), shows=b"The0"),
    "not streaming": Phase((hangs,), stream=False),
    "back-off": Phase((refuses(429, headers="Retry-After: 30\r\n"),), connected=False),
    "fallback": Phase((hangs,)),
}


class Callers:
    """The clients."""

    def __init__(self, gateway: Gateway, provider: FaultProvider, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._provider = provider
        self._session = session
        self._count = 0

    async def leave(self, name: str, phase: Phase) -> float:
        """One client. Returns the seconds from its disconnect to the end of the work."""
        self._count += 1
        run = f"{name.replace(' ', '-')}-{self._count}"
        agent = name.replace(" ", "-")
        # A model that refuses every request would soon cool down, so each client has its own model.
        own = f"fake/{run}" if name == "back-off" else None
        model = self._provider.model(run if own else agent, *phase.acts)
        if name == "queued" and self._count == 1:
            await self._find_outage(agent)
            model.calls.clear()
        reader, writer = await self._ask(agent, run, own, stream=phase.stream)
        await self._until(lambda: self._at(phase, model.calls, run))
        if phase.shows:
            await asyncio.wait_for(reader.readuntil(phase.shows), TIMEOUT)
        loop = asyncio.get_running_loop()
        left = loop.time()
        writer.close()
        if phase.connected:
            await asyncio.wait_for(model.calls[-1].left.wait(), TIMEOUT)
            took = model.calls[-1].left_at - left
            await self._until(lambda: self._is(run, "cancelled"))
        else:
            await self._until(lambda: self._is(run, "cancelled"))
            took = loop.time() - left
        if len(model.calls) != phase.calls:
            raise RuntimeError(f"{run}: {len(model.calls)} calls")
        return took

    async def _at(self, phase: Phase, calls: list[Any], run: str) -> bool:
        """Whether the run has reached the phase."""
        if phase.connected:
            return len(calls) == phase.calls
        trace = await self._trace(run)
        if trace is None or trace["outcome"] is not None:
            return False
        return phase.calls == 0 or trace["attempts"][-1]["outcome"] is not None

    async def _is(self, run: str, outcome: str) -> bool:
        trace = await self._trace(run)
        return trace is not None and trace["outcome"] == outcome

    async def _trace(self, run: str) -> dict[str, Any] | None:
        async with self._session.get(f"/api/v1/runs/{run}") as response:
            trace: dict[str, Any] = await response.json()
            return trace if response.status == 200 else None

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not await condition():
                await asyncio.sleep(0.002)

    async def _find_outage(self, agent: str) -> None:
        """Let the provider ask for a pause of this agent's only model, so that later clients wait before they ask.

        The first one waits, too: it has to leave.
        """
        _, writer = await self._ask(agent, "outage", None, stream=False)
        await self._until(self._is_refused)
        writer.close()
        await self._until(lambda: self._is("outage", "cancelled"))

    async def _is_refused(self) -> bool:
        trace = await self._trace("outage")
        return trace is not None and bool(trace["attempts"]) and trace["attempts"][-1]["outcome"] is not None

    async def _ask(
        self, agent: str, run: str, own: str | None, *, stream: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        body = json.dumps(_body(agent, stream=stream))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)
        head = ["POST /v1/chat/completions HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}"]
        head += [
            f"X-Request-ID: {run}",
            *([f"x-openclaw-model: {own}"] if own else ()),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        writer.write("\r\n".join(head).encode())
        return reader, writer


def _body(agent: str, *, stream: bool) -> dict[str, Any]:
    return {"model": f"openclaw/{agent}", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}


def configuration(provider: FaultProvider, full: int) -> dict[str, Any]:
    """An agent for each phase."""
    agents: dict[str, Any] = {}
    for name in PHASES:
        agent = name.replace(" ", "-")
        agents[agent] = {"model": {"primary": f"fake/{agent}"}}
    agents["connecting"] = {"model": {"primary": "full/x"}}
    agents["fallback"] = {"model": {"primary": "fake/missing", "fallbacks": ["fake/fallback"]}}
    providers = {
        "fake": {"baseUrl": provider.url, "apiKey": "k"},
        "full": {"baseUrl": f"http://127.0.0.1:{full}/v1"},
    }
    config = settings(providers, agents)
    limits = (
        "connectTimeoutMs",
        "firstEventTimeoutMs",
        "idleTimeoutMs",
        "lastFirstEventTimeoutMs",
        "lastIdleTimeoutMs",
    )
    limits = (*limits, "silenceTimeoutMs")
    long_limits = ("cooldownMs", "maxCooldownMs", "maxRetryAfterMs", "totalTimeoutMs")
    config["gateway"]["retry"] |= dict.fromkeys(limits, 20_000) | dict.fromkeys(long_limits, 900_000) | {"backoffMs": 1}
    return config


async def run(options: argparse.Namespace) -> bool:
    """Run all phases. Returns whether the budgets are met."""
    fine = True
    with tempfile.TemporaryDirectory() as folder, unaccepting_port() as full:
        async with (
            FaultProvider().serving() as provider,
            running(configuration(provider, full), Path(folder)) as gateway,
            aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=RIGHT) as session,
        ):
            provider.model("missing", refuses(404))
            callers = Callers(gateway, provider, session)
            for name, phase in PHASES.items():  # warm up
                await callers.leave(name, phase)
            before, megabytes = await gateway.settled(0, 1.0), gateway.megabytes
            for name, phase in PHASES.items():
                times = [await callers.leave(name, phase) for _ in range(options.callers // len(PHASES) + 1)]
                p99 = quantiles(times, n=100)[-1]
                fine = fine and p99 <= BUDGET
                print(
                    f"{name:14} {len(times):4} left; p50 {sorted(times)[len(times) // 2] * 1000:5.1f} ms, "
                    f"p99 {p99 * 1000:5.1f} ms, max {max(times) * 1000:5.1f} ms"
                )
            after = await gateway.settled(before, 75.0)
            print(f"open sockets: {before} before, {after} after; RSS {megabytes:.1f} → {gateway.megabytes:.1f} MB")
            return fine and after <= before


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=1000)
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)
