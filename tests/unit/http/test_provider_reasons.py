"""Why a provider refused a request: the client reads it, and the operator finds it in the log and with the run."""

import json

import pytest
from aiohttp import web
from structlog.testing import capture_logs

MISTRAL = {"object": "error", "message": {"detail": [{"loc": ["body", "zz"], "msg": "Extra inputs are not permitted"}]}}
GOOGLE = [{"error": {"code": 400, "message": "Bad schema", "status": "INVALID_ARGUMENT"}}]
KEY = "sk-proj-abcdefghijlmnop"
REQUESTS = pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"model": "openclaw", "input": "hi"}),
    ],
)


def refusing(provider, status, text):
    async def answer(_request):
        return web.Response(status=status, text=text, content_type="application/json")

    provider.answer = answer


@REQUESTS
@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (422, json.dumps(MISTRAL), "body.zz: Extra inputs are not permitted"),
        (400, json.dumps(GOOGLE), "Bad schema"),
        (422, "plain words", "The provider answered with status 422: plain words"),
        (400, '{"odd": true}', 'The provider answered with status 400: {"odd": true}'),
        (400, "<Error><Message>A &amp; B</Message></Error>", "The provider answered with status 400: A & B"),
        (400, "<html><title>Bad gateway</title></html>", "The provider answered with status 400: Bad gateway"),
    ],
)
async def test_the_reason_is_in_the_answer_in_the_log_and_with_the_run(  # noqa: PLR0917
    client, provider, path, body, status, text, reason
):
    refusing(provider, status, text)
    with capture_logs() as logs:
        response = await client.post(path, json=body)
    assert response.status == status
    assert (await response.json())["error"]["message"] == reason
    (failed,) = [entry for entry in logs if entry["event"] == "Run failed"]
    assert failed["attempts"][0]["reason"] == reason
    run = await client.get(f"/api/v1/runs/{response.headers['X-Request-ID']}")
    assert (await run.json())["attempts"][0]["reason"] == reason


@REQUESTS
async def test_no_key_is_in_a_reason_anywhere(client, provider, path, body):
    refusing(provider, 400, json.dumps({"errors": [{"message": f"the value {KEY} is not good"}]}))
    with capture_logs() as logs:
        response = await client.post(path, json=body)
    run = await client.get(f"/api/v1/runs/{response.headers['X-Request-ID']}")
    for text in (await response.text(), await run.text(), str(logs)):
        assert "is not good" in text
        assert KEY not in text


async def test_an_answer_without_a_failure_has_no_reason(client, provider):
    provider.says("Hello")
    response = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi"})
    run = await client.get(f"/api/v1/runs/{response.headers['X-Request-ID']}")
    assert "reason" not in (await run.json())["attempts"][0]
