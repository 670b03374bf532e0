"""A client disconnects in every phase of a run: the request to the provider is aborted at once, and the run ends."""

import asyncio
import json
import time

import pytest

from tests.fault.acts import hangs, refuses, says, streams
from tests.fault.canonical import token_frames
from tests.fault.conftest import TOKEN
from tests.process import unaccepting_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 1.0  # seconds, on a busy machine; bench/leaving.py has the figures
TIMES = 5


@pytest.fixture(scope="module")
def full_port():
    with unaccepting_port() as port:
        yield port


@pytest.fixture(scope="module")
def providers(providers, full_port):
    return providers | {"full": {"baseUrl": f"http://127.0.0.1:{full_port}/v1"}}


@pytest.fixture(scope="module")
def agents():
    chains = {
        "queued": ["fake/queued"],
        "connecting": ["full/x"],
        "waiting": ["fake/waiting"],
        "streaming": ["fake/streaming"],
        "whole": ["fake/whole"],
        "backoff": ["fake/backoff"],
        "fallback": ["fake/refused", "fake/fallback"],
        "replaying": ["fake/replaying"],
    }
    return {name: {"model": {"primary": chain[0], "fallbacks": chain[1:]}} for name, chain in chains.items()}


async def calling(gateway, agent, request_id, *, stream):
    """A connection with a request for this agent."""
    body = {"model": f"openclaw/{agent}", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    payload = json.dumps(body).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", f"Authorization: Bearer {TOKEN}"]
    lines += [f"X-Request-ID: {request_id}", f"Content-Length: {len(payload)}", "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write("\r\n".join(lines).encode() + payload)
    return reader, writer


async def outcome(client, request_id, wanted):
    """Wait at most `AT_ONCE` until the run has this outcome (None: active). Returns its attempts."""
    async with asyncio.timeout(AT_ONCE):
        while True:
            async with client.get(f"/api/v1/runs/{request_id}") as response:
                trace = await response.json()
            if response.status == 200 and trace["outcome"] == wanted:
                return trace["attempts"]


PHASES = {
    "waiting": (True, (hangs,)),
    "whole": (False, (hangs,)),
    "fallback": (True, (hangs,)),
    "streaming": (True, (streams(token_frames()[:3], then=hangs, end=False),)),
    "replaying": (True, (streams(token_frames()[:3]), hangs)),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_the_request_to_the_provider_is_aborted_at_once(gateway, client, provider, phase):
    stream, acts = PHASES[phase]
    provider.model("refused", refuses(404))
    for number in range(TIMES):
        model = provider.model(phase, *acts)
        reader, writer = await calling(gateway, phase, f"{phase}-{number}", stream=stream)
        async with asyncio.timeout(10):
            while len(model.calls) < len(acts):
                await asyncio.sleep(0.001)
            if phase in ("streaming", "replaying"):
                await reader.readuntil(b"The0")
        left = asyncio.get_running_loop().time()
        writer.close()
        async with asyncio.timeout(AT_ONCE):
            await model.calls[-1].left.wait()
        assert model.calls[-1].left_at - left < AT_ONCE
        attempts = await outcome(client, f"{phase}-{number}", "cancelled")
        assert attempts[-1]["outcome"] == "cancelled"
        assert len(model.calls) == len(acts), "nobody is asked for a caller who has left"


async def test_a_disconnect_ends_the_pause_before_a_retry(gateway, client, provider):
    model = provider.model("backoff", refuses(429, headers="Retry-After: 4\r\n"))
    _, writer = await calling(gateway, "backoff", "backoff", stream=True)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    while not (await outcome(client, "backoff", None))[0]["outcome"]:
        pass
    writer.close()
    assert [one["outcome"] for one in await outcome(client, "backoff", "cancelled")] == ["rate_limited"]
    assert len(model.calls) == 1


async def test_a_disconnect_ends_the_wait_for_retry_after(gateway, client, provider):
    model = provider.model("queued", refuses(429, headers="Retry-After: 4\r\n"), says())
    _, patient = await calling(gateway, "queued", "first", stream=False)
    async with asyncio.timeout(10):
        await model.arrived.wait()
    while not (await outcome(client, "first", None))[0]["outcome"]:
        pass
    patient.close()
    _, writer = await calling(gateway, "queued", "second", stream=True)
    await outcome(client, "second", None)
    writer.close()
    assert await outcome(client, "second", "cancelled") == []
    assert len(model.calls) == 1


async def test_a_disconnect_ends_connecting(gateway, client):
    for number in range(TIMES):
        _, writer = await calling(gateway, "connecting", f"connecting-{number}", stream=True)
        await outcome(client, f"connecting-{number}", None)
        started = time.monotonic()
        writer.close()
        await outcome(client, f"connecting-{number}", "cancelled")
        assert time.monotonic() - started < AT_ONCE
