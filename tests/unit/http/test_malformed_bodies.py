"""No body makes the gateway fail. `MUTATIONS=20000` in the environment tries as many of them, `SEED` others."""

import os

import pytest
from aiohttp import web

from tests.unit.http.mutations import mutations

COUNT = int(os.environ.get("MUTATIONS", "600"))
SEED = int(os.environ.get("SEED", "1"))


@pytest.fixture
def config(config):
    config["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}
    config["memory"] = {"search": {"provider": "fake", "model": "small"}}
    return config


@pytest.fixture
def answering(provider):
    """A provider that answers every request, with a call if one is demanded."""

    async def answer(request):
        body = provider.asked[-1]
        if "messages" not in body:
            data = [{"index": index, "embedding": [0.5, 0.25]} for index, _ in enumerate(body["input"])]
            return web.json_response({"data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})
        choice = body.get("tool_choice", "auto")
        if choice in ("auto", "none"):
            provider.says("Hello")
        else:
            name = body["tools"][0]["function"]["name"] if choice == "required" else choice["function"]["name"]
            provider.says(None, ("call_1", name, "{}"), finish="tool_calls")
        scripted, provider.answer = provider.answer, answer
        return await scripted(request)

    provider.answer = answer
    return provider


# The timeout of a test raises in whichever task is running. In one of the server it would close the connection.
@pytest.mark.timeout(120 + COUNT / 20)
async def test_no_malformed_body_makes_the_gateway_fail_or_costs_the_connection(client, answering):
    failed: list[tuple[object, ...]] = []
    answered = 0
    headers = {"Content-Type": "application/json"}
    for path, body in mutations(COUNT, SEED):
        async with client.post(path, data=body, headers=headers) as response:
            status, text = response.status, await response.text()
            closes = response.headers.get("Connection") == "close"
        if not 200 <= status < 500 or "internal error" in text or closes:
            failed.append((status, path, body[:2000], text[:300]))
        answered += len(answering.asked)
        answering.asked.clear()
    assert failed == []
    assert answered
