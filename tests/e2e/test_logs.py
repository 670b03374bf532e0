import json

import aiohttp
import pytest

from tests.e2e.answers import SEEN, breaks_off, chunk, cuts, does, event, refuses, replies, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.e2e.provider import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}]}
GUESS = "a-guess-that-is-wrong-9876543210"
OTHER_KEY = "sk-someone-elses-0123456789abcdef"
PRIVATE = "what the caller wrote in private"
ECHO = f"key {KEY} or {OTHER_KEY} is wrong"


async def body_of(session, path, headers, **sent):
    async with session.post(path, headers=headers, **sent) as response:
        return await response.text()


async def provider_faults(session, provider):
    """All responses while a provider echoes keys in every way."""
    echoing = [
        refuses(401, ECHO),
        refuses(403, ECHO),
        refuses(429, ECHO),
        refuses(500, ECHO),
        refuses(400, ECHO, code="odd", param="model"),
        replies(ECHO.encode(), "text/plain", status=502),
        replies(json.dumps({"error": ECHO}).encode()),
        replies(json.dumps({"detail": ECHO}).encode(), status=422),
        streams(event({"error": {"message": ECHO}})),
        streams(chunk({"content": "Hello"}), SEEN, event({"error": {"message": ECHO}})),
        streams(chunk({"content": "Hello"}), SEEN, then=cuts),
        does(breaks_off),
    ]
    responses = ""
    for answer in echoing:
        for body in (HI, HI | {"stream": True}):
            model = provider.model(answer)
            model.seen.set()
            responses += await body_of(session, CHAT, {"Authorization": f"Bearer {TOKEN}"} | model.chosen, json=body)
    return responses


async def caller_faults(session):
    """All responses to invalid requests."""
    right = {"Authorization": f"Bearer {TOKEN}"}
    responses = ""
    for headers in (
        {"Authorization": f"Bearer {GUESS}"},
        {"Authorization": f"Basic {GUESS}"},
        {"x-api-key": GUESS},
        {"Cookie": f"token={GUESS}"},
        right | {"X-Forwarded-For": "203.0.113.7"},
        right | {"Expect": "a-miracle"},
        right | {"x-openclaw-model": "///"},
        right | {"x-openclaw-agent-id": "nobody"},
    ):
        responses += await body_of(session, f"{CHAT}?token={GUESS}", headers, json=HI)
    for body in (
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        PRIVATE.encode(),
        b'{"messages":7}',
        b'{"temperature":1e999}',
    ):
        for path in (CHAT, "/v1/responses", "/v1/embeddings"):
            responses += await body_of(session, path, right, data=body)
    return responses


async def test_no_secret_is_in_responses_or_logs_and_external_faults_log_no_traceback(config, provider, tmp_path):
    changed = config | {"logging": {"level": "trace"}}
    async with serving(tmp_path, changed) as gateway, aiohttp.ClientSession(gateway.url) as session:
        responses = await provider_faults(session, provider)
        responses += await caller_faults(session)
        async with session.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 200
    written = gateway.process.output + gateway.process.errors
    assert "is wrong" in responses
    assert "Listening" in written
    assert "Request refused" in written
    for secret in (TOKEN, KEY, OTHER_KEY, GUESS):
        assert secret not in responses
        assert secret not in written
    assert PRIVATE not in written
    assert "Traceback" not in written
    assert "internal error" not in responses


async def test_every_log_line_is_an_event_and_has_the_id_of_its_request(config, provider, tmp_path):
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "trace-7"}
    async with serving(tmp_path, config) as gateway, aiohttp.ClientSession(gateway.url) as session:
        await body_of(session, CHAT, headers | provider.model(refuses(500, "oh")).chosen, json=HI)
    lines = [json.loads(line) for line in gateway.process.errors.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    about = {line["event"]: line for line in lines if line.get("request_id") == "trace-7"}
    assert about.keys() == {"Run failed", "Request refused", "Request ended"}
    refused = about["Request refused"]
    assert (refused["level"], refused["status"], refused["type"]) == ("warning", 502, "upstream_error")
    assert gateway.process.output == ""
