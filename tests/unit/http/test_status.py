"""`/api/v1/status`: what an operator wants to know of a running gateway, in one object."""

import asyncio

import jsonschema
import pytest
from aiohttp import web

from gateway.core.client_key import digest_of
from gateway.http.operator_schemas import STATUS

KEY = "ocg_" + "k" * 43


@pytest.fixture
def config(config):
    config["gateway"]["keys"] = {"reader": {"digest": f"sha256:{digest_of(KEY).hex()}", "scopes": ["operator.read"]}}
    return config


async def status(client):
    response = await client.get("/api/v1/status")
    assert response.status == 200
    body = await response.json()
    jsonschema.validate(body, STATUS)
    return body


async def test_a_gateway_without_work(client):
    body = await status(client)
    assert (body["ready"], body["failing"], body["degraded"], body["cooldowns"]) == (True, [], [], [])
    assert body["store"] == {"backend": "sqlite", "problem": None}
    assert body["queue"] == {"requests": 0, "conversations": 0, "background_runs": 0, "ledger_rows": 0}
    assert [one["self"] for one in body["instances"]] == [True]
    assert body["ledger"] == {"written_rows": 0, "lost_rows": 0}
    assert (body["redis"], body["locks"]) == (None, 0)


async def test_requests_and_waiting_conversations_are_counted(client, provider):
    asked, _ = provider.hangs()
    request = {"model": "openclaw", "user": "same", "messages": [{"role": "user", "content": "hi"}]}
    first = asyncio.create_task(client.post("/v1/chat/completions", json=request))
    await asyncio.wait_for(asked.wait(), 10)
    second = asyncio.create_task(client.post("/v1/chat/completions", json=request))
    async with asyncio.timeout(10):
        while (await status(client))["queue"]["conversations"] < 1:
            await asyncio.sleep(0.01)
    assert (await status(client))["queue"]["requests"] == 2
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)


async def test_a_model_that_cools_down_is_named_with_its_key_and_the_reason(client, provider):
    async def limited(_request):
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "500"})

    provider.answer = limited
    await client.post(
        "/v1/chat/completions", json={"model": "openclaw", "messages": [{"role": "user", "content": "x"}]}
    )
    (cooling,) = (await status(client))["cooldowns"]
    assert 490 <= cooling.pop("seconds") <= 500
    assert cooling == {"provider": "fake", "model": "small", "key": "apiKey", "reason": "rate_limited"}


async def test_only_administrators_may_ask(client):
    response = await client.get("/api/v1/status", headers={"Authorization": f"Bearer {KEY}"})
    assert response.status == 403
