"""A provider that repeats the gateway's credentials in its errors: no secret of its row reaches a client or the log."""

import asyncio
import base64
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from yarl import URL

API_KEY, HEADER, AZURE = "plainkeyXY77zz", "header-Secret-7Q2", 'azure "Key" & 9Z8/x'
MODEL_HEADER, PASSWORD = "model-header-55", "url-pass-word"
SECRETS = (API_KEY, HEADER, AZURE, MODEL_HEADER, PASSWORD)
FORMS = [base64.b64encode(f"login:{PASSWORD}".encode()).decode()]
for _secret in SECRETS:
    FORMS += [_secret, quote(_secret, safe=""), json.dumps(_secret)[1:-1], _secret.replace("&", "&amp;")]

CHAT = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
RESPONSE = {"model": "openclaw", "input": "hi"}
REQUESTS = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat stream": ("/v1/chat/completions", CHAT | {"stream": True}),
    "response": ("/v1/responses", RESPONSE),
    "response stream": ("/v1/responses", RESPONSE | {"stream": True}),
    "background": ("/v1/responses", RESPONSE | {"background": True}),
    "embeddings": ("/v1/embeddings", RESPONSE),
}


@pytest.fixture
def config(config):
    provider = config["models"]["providers"]["fake"]
    url = URL(provider["baseUrl"])
    provider["baseUrl"] = str(url.with_user("login").with_password(PASSWORD))
    provider["apiKey"] = API_KEY
    provider["headers"] = {"X-Key": HEADER, "api-key": AZURE}
    provider["models"][0]["headers"] = {"X-Model": f"Token {MODEL_HEADER}"}
    config["memory"] = {"search": {"provider": "fake", "model": "small"}}
    return config


def error():
    words = " ".join(FORMS)
    return {"error": {"message": f"bad {words}", "code": f"bad_{API_KEY}", "param": f"key {HEADER}", "type": AZURE}}


def refusing(status):
    async def answer(_request):
        return web.json_response(error(), status=status, headers={"X-Echo": HEADER})

    return answer


async def in_the_stream(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: " + json.dumps(error()).encode() + b"\n\n")
    return response


async def failed(client, name):
    """The response of a background run that fails."""
    async with asyncio.timeout(60):
        while '"failed"' not in (text := await (await client.get(f"/v1/responses/{name}")).text()):
            await asyncio.sleep(0.02)
    return text


@pytest.mark.parametrize("failing", [400, 401, 402, 404, 413, 429, 500, 502, "stream"])
@pytest.mark.parametrize("kind", REQUESTS)
async def test_no_secret_of_a_provider_reaches_a_client_or_the_log(client, provider, kind, failing, capsys):
    provider.answer = in_the_stream if failing == "stream" else refusing(failing)
    path, body = REQUESTS[kind]
    seen = ""
    async with client.post(path, json=body, headers={"X-Request-ID": "r1"}) as response:
        seen += await response.text() + str(response.headers)
    if kind == "background":
        name = json.loads(seen[: seen.rindex("}") + 1].partition("<CIMulti")[0])["id"]
        seen += await failed(client, name) + await (await client.get(f"/v1/responses/{name}?stream=true")).text()
    for other in ("/api/v1/runs/r1", "/readyz", "/v1/models", "/openapi.json"):
        seen += await (await client.get(other)).text()
    output = capsys.readouterr()
    seen += output.out + output.err
    assert provider.asked
    assert [form for form in FORMS if form in seen] == []


PROMPT = "My password is correct horse battery staple, tell nobody."


async def quoting(request):
    sent = await request.text()
    return web.json_response({"error": {"message": f"Your prompt is not for this model: {sent}"}}, status=400)


async def quoting_in_the_stream(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    message = {"error": {"message": f"The prompt «{PROMPT}» was refused"}}
    await response.write(b"data: " + json.dumps(message).encode() + b"\n\n")
    return response


@pytest.mark.parametrize("answer", [quoting, quoting_in_the_stream])
@pytest.mark.parametrize("kind", REQUESTS)
async def test_what_a_provider_quotes_of_the_prompt_is_for_the_client_only(client, provider, kind, answer, capsys):
    if kind == "embeddings" and answer is quoting_in_the_stream:
        answer = quoting
    provider.answer = answer
    path, body = REQUESTS[kind]
    field = {"messages": [{"role": "user", "content": PROMPT}]} if "messages" in body else {"input": PROMPT}
    response = await client.post(path, json=body | field)
    text = await response.text()
    if kind == "background":
        text = await failed(client, json.loads(text)["id"])
    assert PROMPT in text
    output = capsys.readouterr()
    assert "[…]" in output.out + output.err or kind == "embeddings"
    assert "battery staple" not in output.out + output.err
    run = await (await client.get(f"/api/v1/runs/{response.headers['x-request-id']}")).text()
    assert "battery staple" not in run
