import io
import json

import aiohttp
import pytest

from tests.e2e.answers import embeds, says
from tests.e2e.process import serving
from tests.e2e.raw import AUTH, exchange, head, status

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models", "/v1/chat/completions/", "//v1/models", "/V1/models"])
async def test_an_unknown_path_is_a_plain_404_without_a_credential(gateway, path):
    answer = await exchange(gateway, head(f"GET {path} HTTP/1.1"))
    assert status(answer) == 404
    assert answer.endswith(b"\r\n\r\nNot Found")
    assert b"Content-Type: text/plain; charset=utf-8" in answer


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("HEAD", CHAT, "POST"),
        ("OPTIONS", CHAT, "POST"),
        ("DELETE", "/v1/responses", "POST"),
        ("GET", "/v1/embeddings", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("OPTIONS", "/v1/models", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_a_405_without_a_credential(gateway, client, method, path, allowed):
    async with client.request(method, path, headers={"Authorization": "none"}) as response:
        assert (response.status, response.headers["Allow"]) == (405, allowed)
        assert await response.text() == ("" if method == "HEAD" else "Method Not Allowed")


@pytest.mark.parametrize("path", ["/health", "/healthz", "/startup", "/startupz", "/ready", "/readyz"])
async def test_probes_need_no_credential(gateway, path):
    async with aiohttp.ClientSession() as unauthenticated:
        async with unauthenticated.get(gateway.url + path) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
            assert (await response.json()).keys() & {"ok", "ready"}
        async with unauthenticated.head(gateway.url + path) as response:
            assert (response.status, await response.read()) == (200, b"")


async def test_a_probe_needs_no_attribution(gateway):
    assert status(await exchange(gateway, head("GET /healthz HTTP/1.1", "X-Forwarded-For: 203.0.113.7"))) == 200


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere"])
async def test_forwarded_requests_of_unknown_proxies_are_refused_on_every_other_path(client, path):
    async with client.get(path, headers={"X-Forwarded-For": "203.0.113.7"}) as response:
        assert response.status == 403
        assert (await response.json())["error"]["type"] == "proxy_attribution_required"


REQUESTS = {
    "ok": ("GET", "/v1/models", {}, 200),
    "probe": ("GET", "/healthz", {}, 200),
    "unauthorized": ("GET", "/v1/models", {"Authorization": "none"}, 401),
    "unknown": ("GET", "/nowhere", {}, 404),
    "method": ("PUT", CHAT, {}, 405),
    "bad": ("POST", CHAT, {}, 400),
    "attribution": ("GET", "/nowhere", {"X-Real-IP": "203.0.113.7"}, 403),
    "expectation": ("POST", CHAT, {"Expect": "a-miracle"}, 417),
    "expectation elsewhere": ("POST", "/nowhere", {"Expect": "a-miracle"}, 417),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_every_response_has_the_security_headers_and_names_no_server(client, name):
    method, path, headers, expected = REQUESTS[name]
    async with client.request(method, path, headers=headers) as response:
        assert response.status == expected
        sent = response.headers
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Referrer-Policy"] == "no-referrer"
    assert sent["Permissions-Policy"] == "camera=(), microphone=(self), geolocation=()"
    assert "Server" not in sent
    assert "Strict-Transport-Security" not in sent


async def test_a_stream_has_the_security_headers_too(client, provider):
    model = provider.model(says("Hello"))
    async with client.post(CHAT, data=BODY[:-1] + b',"stream":true}', headers=model.chosen) as response:
        sent = response.headers
    assert (sent["X-Content-Type-Options"], sent["X-Accel-Buffering"]) == ("nosniff", "no")
    assert (sent["Content-Type"], sent["Cache-Control"]) == ("text/event-stream; charset=utf-8", "no-cache")
    assert "Server" not in sent


async def test_a_callers_request_id_comes_back_when_it_is_sane(client):
    async with client.get("/v1/models", headers={"X-Request-ID": "trace-7"}) as response:
        assert response.headers["X-Request-ID"] == "trace-7"
    async with client.get("/v1/models", headers={"X-Request-ID": "<script>"}) as response:
        assert response.headers["X-Request-ID"].startswith("req_")


async def test_a_refusal_names_the_scheme(client):
    async with client.get("/v1/models", headers={"Authorization": "none"}) as response:
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await response.json())["error"] == {
            "message": "Unauthorized",
            "type": "unauthorized",
            "param": None,
            "code": None,
        }


async def test_a_response_names_the_model_and_the_share_of_time(client, provider):
    model = provider.model(says("Hello"))
    async with client.post(CHAT, data=BODY, headers=model.chosen) as response:
        sent = response.headers
    assert (sent["x-openclaw-model"], sent["x-openclaw-attempts"]) == (f"fake/{model.id}", "1")
    assert sent["Server-Timing"].startswith("gateway;dur=")


@pytest.mark.parametrize("name", ["openclaw%2Fdefault", "openclaw/default", "openclaw%2fdefault"])
async def test_a_model_id_may_have_its_slash_escaped(gateway, name):
    answer = await exchange(gateway, head(f"GET /v1/models/{name} HTTP/1.1", AUTH.strip()))
    assert status(answer) == 200
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["id"] == "openclaw/default"


async def test_an_escaped_spelling_of_another_path_is_unknown(gateway):
    assert status(await exchange(gateway, head("GET /v1/%6dodels HTTP/1.1", AUTH.strip()))) == 404


async def test_a_query_changes_nothing(client):
    async with client.get("/v1/models?token=x&y=%2F") as response:
        assert response.status == 200


async def test_a_body_of_exactly_the_limit_is_read(client, provider):
    model = provider.model(embeds([1.0]))
    body = json.dumps({"model": "openclaw", "input": "x"}).encode()
    body += b" " * (5 * 2**20 - len(body))
    async with client.post("/v1/embeddings", data=io.BytesIO(body), headers=model.chosen) as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize(
    ("endpoint", "served", "missing"),
    [
        ("chatCompletions", [CHAT, "/v1/embeddings"], ["/v1/responses"]),
        ("responses", ["/v1/responses", "/v1/embeddings"], [CHAT]),
        (None, [], [CHAT, "/v1/responses", "/v1/embeddings", "/v1/models", "/v1/models/openclaw"]),
    ],
)
async def test_a_disabled_endpoint_is_a_plain_404(config, tmp_path, endpoint, served, missing):
    endpoints = {endpoint: {"enabled": True}} if endpoint else {}
    http = {"endpoints": endpoints, "securityHeaders": {"strictTransportSecurity": "max-age=60"}}
    changed = config | {"gateway": config["gateway"] | {"http": http}}
    async with serving(tmp_path, changed) as other, aiohttp.ClientSession(other.url) as unauthenticated:
        for path in served:
            async with unauthenticated.post(path) as response:
                assert response.status == 401
                assert response.headers["Strict-Transport-Security"] == "max-age=60"
        for path in missing:
            async with unauthenticated.post(path) as response:
                assert (response.status, await response.text()) == (404, "Not Found")


async def test_a_stop_signal_ends_the_process_well(config, tmp_path):
    async with serving(tmp_path, config) as other:
        await other.process.stop()
        assert await other.process.ended() == 0
