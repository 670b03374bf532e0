"""`gateway.retry.hedgeAfterMs` against real processes: the faster of two models answers, the other is aborted."""

import asyncio
import json
import time

import pytest

from tests.fault.acts import hangs, later, says
from tests.fault.automaton import listen
from tests.fault.canonical import TEXT
from tests.fault.conftest import LIMIT, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEDGE = 0.1  # seconds


@pytest.fixture(scope="module")
def config(providers):
    agents = {
        name: {"model": {"primary": f"fake/{name}-1", "fallbacks": [f"fake/{name}-2"]}} for name in ("slow", "faster")
    }
    made = settings(providers, agents)
    made["gateway"]["retry"]["hedgeAfterMs"] = HEDGE * 1000
    return made


async def ask(client, agent, stream):
    body = {"model": f"openclaw/{agent}", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    async with client.post(
        "/v1/chat/completions", json=body, headers={"X-Request-ID": f"{agent}-{stream}"}
    ) as response:
        raw = await response.read()
        assert response.status == 200, raw
        names = response.headers["x-openclaw-model"], response.headers["x-openclaw-attempts"]
    text = listen(raw).text if stream else json.loads(raw)["choices"][0]["message"]["content"]
    assert text == TEXT
    async with client.get(f"/api/v1/runs/{agent}-{stream}") as response:
        return *names, [one["outcome"] for one in (await response.json())["attempts"]]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_next_model_answers_in_parallel_to_a_silent_one_which_is_aborted(client, provider, stream):
    first, _ = provider.model("slow-1", hangs), provider.model("slow-2", says())
    started = time.monotonic()
    model, attempts, outcomes = await ask(client, "slow", stream)
    assert time.monotonic() - started < LIMIT, "sooner than the first event limit"
    assert (model, attempts, outcomes) == ("fake/slow-2", "2", ["cancelled", "answered"])
    async with asyncio.timeout(30):
        await first.calls[0].left.wait()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_first_model_can_still_win_after_the_second_started(client, provider, stream):
    provider.model("faster-1", later(2 * HEDGE, says()))
    second = provider.model("faster-2", hangs)
    model, attempts, outcomes = await ask(client, "faster", stream)
    assert (model, attempts, outcomes) == ("fake/faster-1", "2", ["answered", "cancelled"])
    async with asyncio.timeout(30):
        await second.calls[0].left.wait()
