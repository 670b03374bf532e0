"""Requests of one caller that make the provider fail cool no model down for other callers, in either instance."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.process import serving
from tests.fault.acts import closes, cuts, gzipped, hangs, head, later, refuses, replies, says, sends, streams
from tests.fault.canonical import STREAM, event, token_frames
from tests.fault.conftest import settings
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

COOLDOWN = 600_000  # milliseconds: no cooldown ends by itself while the tests run
JSON = b'{"content":[{"type":"text","text":"hi"}],"type":"message","role":"assistant","stop_reason":"end_turn",'
MESSAGE = replies(JSON + b'"model":"m","id":"1","usage":{"input_tokens":1,"output_tokens":1}}')
OUTPUT = b'[{"type":"message","role":"assistant","id":"1","content":[{"type":"output_text","text":"hi"}]}]'
RESPONSE = replies(b'{"object":"response","id":"1","status":"completed","model":"m","output":' + OUTPUT + b"}")
FAILS_IN_THE_STREAM = streams([*token_frames()[:3], event({"error": {"message": "oh", "type": "server_error"}})])
FAULTS = {
    "500": refuses(500),
    "502": replies(b"<html>Bad gateway</html>", status="502 Bad Gateway", headers="Content-Type: text/html\r\n"),
    "503": refuses(503),
    "408": refuses(408),
    "401": refuses(401, "no"),
    "403": refuses(403, "no"),
    "429": refuses(429, "slow down"),
    "reset": cuts,
    "closed": closes,
    "half a head": sends(b"HTTP/1.1 200 OK\r\n", then=closes),
    "no HTTP": sends(b"SSH-2.0-x\r\n", then=closes),
    "garbage": replies(b"\x00\xff{" * 50),
    "a page": replies(b"<html>Log in</html>", headers="Content-Type: text/html\r\n"),
    "redirect": refuses(307),
    "silent": hangs,
    "slow": later(5, says()),
    "cut whole": sends(head(headers="Content-Type: application/json\r\nContent-Length: 500\r\n"), b"{", then=closes),
    "cut gzip": gzipped(STREAM, keep=40, then=cuts, end=False),
}
STREAM_FAULTS = {
    "stream cut at once": streams(b"", then=cuts, end=False),
    "stream cut": streams(token_frames()[:3], then=cuts, end=False),
    "stream stalls": streams(token_frames()[:3], then=hangs, end=False),
    "stream error": FAILS_IN_THE_STREAM,
    "stream garbage": streams(b"data: {\n\n"),
    "stream empty": streams(b"data: [DONE]\n\n"),
    "stream reset": cuts,
}
FORMATS = {
    "anthropic": ("anthropic-messages", MESSAGE, refuses(529)),
    "responses": ("openai-responses", RESPONSE, cuts),
}
ATTACKS = {name: (fault, False) for name, fault in FAULTS.items()}
ATTACKS |= {name: (fault, True) for name, fault in STREAM_FAULTS.items()}
ATTACKS |= {name: (fault, False) for name, (_, _, fault) in FORMATS.items()}


def agent(attack):
    return attack.replace(" ", "-").lower()


def first_model(attack):
    return f"{attack if attack in FORMATS else 'fake'}/{agent(attack)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instances(provider, tmp_path_factory):
    """Sessions of two instances that share Redis; a proxy that they trust names the user."""
    providers = {"fake": {"baseUrl": provider.url, "apiKey": "key-of-the-fault-tests"}}
    for name, (api, _, _) in FORMATS.items():
        providers[name] = providers["fake"] | {"api": api, "models": [{"id": name}]}
    agents = {}
    for attack in ATTACKS:
        agents[agent(attack)] = {"model": {"primary": first_model(attack), "fallbacks": ["fake/other"]}}
    config = settings(providers, agents)
    config["gateway"]["retry"] |= {"cooldownMs": COOLDOWN, "maxCooldownMs": COOLDOWN, "backoffMs": 1}
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path_factory.mktemp("redis")))
        config["gateway"]["redis"] = {"url": redis.url}
        sessions = []
        for _ in range(2):
            gateway = await stack.enter_async_context(serving(tmp_path_factory.mktemp("state"), config))
            sessions.append(await stack.enter_async_context(aiohttp.ClientSession(gateway.url)))
        yield sessions


async def model_of(session, attack, user, text="hi", *, stream=False):
    """The model that answered last."""
    body = {"model": f"openclaw/{agent(attack)}", "messages": [{"role": "user", "content": text}], "stream": stream}
    headers = {"X-Forwarded-For": "203.0.113.9", "x-user": user}
    async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
        answer = await response.read()
        assert user == "alice" or response.status == 200, answer
        return response.headers.get("x-openclaw-model")


async def others_models(instances, provider, attack):
    """The models that answered bob at both instances while alice sent requests that make the first model fail."""
    fault, stream = ATTACKS[attack]
    good = FORMATS[attack][1] if attack in FORMATS else says()

    async def particular(call):
        await (fault if "poison" in str(call.body) else good)(call)

    provider.model(agent(attack), particular)
    seen = set()
    for attacked in (*instances, instances[0]):
        await asyncio.gather(*(model_of(attacked, attack, "alice", "poison", stream=stream) for _ in range(4)))
        for _ in range(3):
            seen |= {await model_of(session, attack, "bob") for session in instances}
    return seen


async def test_poisonous_requests_of_one_caller_move_no_other_to_the_fallback(instances, provider):
    provider.model("other", says())
    seen = await asyncio.gather(*(others_models(instances, provider, attack) for attack in ATTACKS))
    moved = {attack: models for attack, models in zip(ATTACKS, seen, strict=True) if models != {first_model(attack)}}
    assert moved == {}
