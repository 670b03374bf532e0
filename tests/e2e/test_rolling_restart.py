"""Three gateways restart one after the other under load, and no request fails.

Streams last a second here, and a stopping gateway gives nginx less time to notice than it does by default.
`ROLLING_STREAM_SECONDS=30 make test ARGS="-s tests/e2e/test_rolling_restart.py"` is the long version with the real
times, and prints its figures. `ROLLING_EAGER_CALLERS=30` adds callers who never pause.
"""

import asyncio
import os
import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.answers import DONE, chunk, says
from tests.e2e.provider import KEY, Model
from tests.e2e.stack import IDLE, stack

LONG = os.environ.get("ROLLING_STREAM_SECONDS")
SECONDS = float(LONG or "1")
DRAIN, IDLE_AT_NGINX = ({}, IDLE) if LONG else ({"noticeMs": 1500}, "1s")
PAUSE = 0.1  # seconds between two events of a stream
STREAMING = 15  # clients that read one stream after the other
BRIEF = 6  # clients that request whole answers, with a pause in between
EAGER = int(os.environ.get("ROLLING_EAGER_CALLERS", "0"))  # clients that do so without a pause
EVENTS = range(round(SECONDS / PAUSE))
PATH = "/v1/chat/completions"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120 + 6 * SECONDS),
]


async def paced(request: web.Request, _model: Model) -> web.StreamResponse:
    """A slow stream."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in EVENTS:
        await response.write(chunk({"content": f"<{number}>"}))
        await asyncio.sleep(PAUSE)
    await response.write(chunk({}, "stop") + DONE)
    return response


class Load:
    """Clients that send requests until `stop`; `failures` has their errors."""

    def __init__(self, deployed, long: Model, short: Model) -> None:
        self._deployed = deployed
        self._models = {True: long, False: short}
        self._stopped = asyncio.Event()
        self.failures: list[str] = []
        self.done: Counter[str] = Counter()
        self.slowest = 0.0
        """Seconds from a request to the head of its response."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(STREAMING + BRIEF + EAGER):
                group.create_task(self._call(number, streamed=number < STREAMING))

    def stop(self) -> None:
        self._stopped.set()

    async def _call(self, number: int, *, streamed: bool) -> None:
        body = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}], "stream": streamed}
        async with self._deployed.client(f"203.0.113.{number}") as client:
            while not self._stopped.is_set():
                began = time.monotonic()
                try:
                    async with client.post(PATH, json=body, headers=self._models[streamed].chosen) as response:
                        self.slowest = max(self.slowest, time.monotonic() - began)
                        text = await response.text()
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failures.append(f"after {time.monotonic() - began:.2f} s: {error!r}")
                    continue
                if response.status != 200 or (streamed and not complete(text)):
                    self.failures.append(f"after {time.monotonic() - began:.2f} s: {response.status} {text[-300:]}")
                self.done["streams" if streamed else "whole answers"] += 1
                if STREAMING <= number < STREAMING + BRIEF:
                    await asyncio.sleep(0.02)


def complete(text: str) -> bool:
    """Whether every event arrived, in order, and the end."""
    positions = [text.find(f"<{number}>") for number in EVENTS]
    return -1 not in positions and positions == sorted(positions) and text.endswith("data: [DONE]\n\n")


async def test_no_request_fails_while_all_gateways_are_restarted_in_turn(provider, tmp_path):
    more = {
        "gateway": {"retry": {"maxRetries": 0}, "drain": DRAIN},
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
    }
    async with stack(tmp_path, more, idle=IDLE_AT_NGINX) as deployed:
        load = Load(deployed, provider.model(paced), provider.model(says("Hello")))
        calling = asyncio.create_task(load.run())
        before = {gateway.process.pid for gateway in deployed.gateways.values()}
        began = time.monotonic()
        for number in (1, 2, 3):
            await deployed.stop(number, within=SECONDS + 20)
            await deployed.start(number)
        took = time.monotonic() - began
        load.stop()
        await calling
        assert not before & {gateway.process.pid for gateway in deployed.gateways.values()}
    print(  # noqa: T201  the figures of the long version
        f"\nstreams of {SECONDS:g} s, three restarts in {took:.0f} s: {load.done['streams']} streams, "
        f"{load.done['whole answers']} whole answers, {len(load.failures)} failed; "
        f"slowest head {load.slowest * 1000:.0f} ms"
    )
    assert load.failures == []
    assert load.done["streams"] > STREAMING
    assert load.done["whole answers"] > 100
