"""A provider that fails and recovers for a minute, with the gateway's default limits: `python bench/flap.py`.

One client sends a request every four seconds. The provider of its agent's model alternates between six seconds of
health and six seconds of one of five faults, then recovers. Every request must succeed, the model must be in use again
within 30 s of the recovery, and during a fault it must get probes only.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import running  # first: it makes the tests' provider importable

from tests.fault.acts import closes, cuts, refuses, says, streams
from tests.fault.automaton import listen
from tests.fault.canonical import TEXT, token_frames
from tests.fault.conftest import TOKEN, settings
from tests.fault.provider import Call, FaultProvider

EVERY = 4.0  # seconds between requests
SPELL = 6.0  # seconds of health, and of each fault
BACK = 30.0  # seconds
PROBES = 3  # calls of the failing model that one request may make
ILL = (refuses(503), cuts, refuses(500), streams(token_frames()[:40], then=closes, end=False), refuses(429))


class Flapping:
    """The failing provider. The time since the start decides whether it is healthy."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = asyncio.get_running_loop().time()

    @property
    def elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    @property
    def ill(self) -> bool:
        return self.elapsed < self._seconds and int(self.elapsed / SPELL) % 2 == 0

    async def act(self, call: Call) -> None:
        spell = int(self.elapsed / SPELL / 2) % len(ILL)
        await (ILL[spell] if self.ill else says())(call)


def configuration(ill: FaultProvider, well: FaultProvider) -> dict[str, Any]:
    """One agent, a model at each provider, and the default limits."""
    agent = {"model": {"primary": "fake/flapping", "fallbacks": ["well/steady"]}}
    providers = {"fake": {"baseUrl": ill.url, "apiKey": "k"}, "well": {"baseUrl": well.url, "apiKey": "k"}}
    config = settings(providers, {"flap": agent})
    del config["gateway"]["retry"]
    return config


async def run(options: argparse.Namespace) -> bool:
    """Send requests for `seconds` and another half minute."""
    body = {"model": "openclaw/flap", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    slowest, back, hammered, wrong = 0.0, None, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        async with (
            FaultProvider().serving() as ill,
            FaultProvider().serving() as well,
            running(configuration(ill, well), Path(folder)) as gateway,
            aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}") as session,
        ):
            flapping = Flapping(options.seconds)
            model, _ = ill.model("flapping", flapping.act), well.model("steady", says())
            for number in itertools.count():
                await asyncio.sleep(max(0.0, number * EVERY - flapping.elapsed))
                began, calls = flapping.elapsed, len(model.calls)
                if began > options.seconds + BACK:
                    break
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
                    heard = listen(await response.read()) if response.status == 200 else None
                    names = response.headers.get("x-openclaw-model"), response.headers.get("x-openclaw-attempts")
                took = flapping.elapsed - began
                right = heard is not None and heard.text == TEXT
                wrong += not right
                slowest, hammered = max(slowest, took), max(hammered, len(model.calls) - calls)
                if began > options.seconds and back is None and names[0] == "fake/flapping":
                    back = began - options.seconds
                print(
                    f"{began:5.1f} s {'ill ' if flapping.ill else 'well'} {'served' if right else 'FAILED'} in "
                    f"{took:.2f} s by {names[0]}, attempts {names[1]}"
                )
    print(
        f"failed: {wrong}; slowest: {slowest:.2f} s; most calls of the ill model for one request: {hammered}; "
        f"in use again {'never' if back is None else f'{back:.1f} s'} after its recovery"
    )
    return not wrong and back is not None and back <= BACK and hammered <= PROBES


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)
