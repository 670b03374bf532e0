import asyncio
import io
import json
import re

import aiohttp
import pytest

from tests.e2e.answers import embeds, says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
AUTH = f"Authorization: Bearer {TOKEN}\r\n"


async def said(gateway, *sent: bytes, to_the_end: bool = False) -> bytes:
    """What is answered on a new connection to these writes: one whole response, or all until the gateway hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        async with asyncio.timeout(10):
            for piece in sent:
                writer.write(piece)
                await writer.drain()
            if to_the_end:
                return await reader.read()
            answer = await reader.readuntil(b"\r\n\r\n")
            if answer.startswith(b"HTTP/1.1 100 "):
                answer += await reader.readuntil(b"\r\n\r\n")
            length = re.findall(rb"Content-Length: (\d+)", answer)
            return answer + await reader.readexactly(int(length[0]))
    finally:
        writer.close()


def head(line: str, *headers: str) -> bytes:
    """The head of a request on a connection that ends with it."""
    return "\r\n".join([line, "Host: gateway", "Connection: close", *headers, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models", "/v1/chat/completions/", "//v1/models", "/V1/models"])
async def test_an_unknown_path_is_a_plain_404_without_a_credential(gateway, path):
    answer = await said(gateway, head(f"GET {path} HTTP/1.1"))
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
        ("POST", "/v1/models", "GET"),
        ("HEAD", "/v1/models", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_a_405_without_a_credential(gateway, client, method, path, allowed):
    async with client.request(method, path, headers={"Authorization": "none"}) as response:
        assert (response.status, response.headers["Allow"]) == (405, allowed)
        assert await response.text() == ("" if method == "HEAD" else "Method Not Allowed")


@pytest.mark.parametrize("path", ["/health", "/healthz", "/startup", "/startupz", "/ready", "/readyz"])
async def test_probes_answer_everybody(gateway, path):
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(gateway.url + path) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
            assert (await response.json()).keys() & {"ok", "ready"}
        async with stranger.head(gateway.url + path) as response:
            assert (response.status, await response.read()) == (200, b"")


async def test_a_probe_needs_no_attribution(gateway):
    assert status(await said(gateway, head("GET /healthz HTTP/1.1", "X-Forwarded-For: 203.0.113.7"))) == 200


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


async def test_a_response_says_which_model_answered_and_where_the_time_went(client, provider):
    model = provider.model(says("Hello"))
    async with client.post(CHAT, data=BODY, headers=model.chosen) as response:
        sent = response.headers
    assert (sent["x-openclaw-model"], sent["x-openclaw-attempts"]) == (f"fake/{model.id}", "1")
    assert sent["Server-Timing"].startswith("gateway;dur=")


@pytest.mark.parametrize("name", ["openclaw%2Fdefault", "openclaw/default", "openclaw%2fdefault"])
async def test_a_model_id_may_have_its_slash_escaped(gateway, name):
    answer = await said(gateway, head(f"GET /v1/models/{name} HTTP/1.1", AUTH.strip()))
    assert status(answer) == 200
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["id"] == "openclaw/default"


async def test_an_escaped_spelling_of_another_path_is_unknown(gateway):
    assert status(await said(gateway, head("GET /v1/%6dodels HTTP/1.1", AUTH.strip()))) == 404


async def test_a_query_changes_nothing(client):
    async with client.get("/v1/models?token=x&y=%2F") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("path", "limit"), [(CHAT, 20 * 2**20), ("/v1/responses", 20 * 2**20), ("/v1/embeddings", 5 * 2**20)]
)
async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read(gateway, path, limit):
    answer = await said(gateway, head(f"POST {path} HTTP/1.1", AUTH.strip(), f"Content-Length: {limit + 1}"))
    assert status(answer) == 413
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "Payload too large"


async def test_an_undeclared_length_over_the_limit_is_refused_and_the_connection_ends(gateway):
    start = f"POST /v1/embeddings HTTP/1.1\r\nHost: gateway\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"80000\r\n" + b" " * 0x80000 + b"\r\n"
    answer = await said(gateway, start, *[piece] * 10, b"1\r\n \r\n")  # and no end
    assert status(answer) == 413
    assert b"Connection: close" in answer


async def test_a_body_of_exactly_the_limit_is_read(client, provider):
    model = provider.model(embeds([1.0]))
    body = json.dumps({"model": "openclaw", "input": "x"}).encode()
    body += b" " * (5 * 2**20 - len(body))
    async with client.post("/v1/embeddings", data=io.BytesIO(body), headers=model.chosen) as response:
        assert response.status == 200, await response.text()


async def test_a_body_without_a_credential_is_not_read(gateway):
    answer = await said(gateway, head(f"POST {CHAT} HTTP/1.1", f"Content-Length: {2**30}"))
    assert status(answer) == 401


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["X-Long: " + "x" * 17_000], 431),
        (["X-Long: " + "x" * 15_000], 404),
    ],
)
async def test_an_oversized_header_is_a_431(gateway, headers, expected):
    assert status(await said(gateway, head("GET /nowhere HTTP/1.1", *headers))) == expected


async def test_an_oversized_request_line_is_a_431(gateway):
    assert status(await said(gateway, head(f"GET /{'x' * 17_000} HTTP/1.1"))) == 431


async def test_a_request_without_host_is_a_400(gateway):
    answer = await said(gateway, f"GET /v1/models HTTP/1.1\r\n{AUTH}Connection: close\r\n\r\n".encode())
    assert status(answer) == 400


async def test_http_1_0_needs_no_host(gateway):
    assert status(await said(gateway, f"GET /v1/models HTTP/1.0\r\n{AUTH}\r\n".encode())) == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["tls", "words", "version", "colon", "length", "smuggling", "two hosts"],
)
async def test_garbage_is_a_bare_400_and_the_connection_ends(gateway, sent):
    answer = await said(gateway, sent, to_the_end=True)
    first, _, body = answer.partition(b"\r\n\r\n")
    assert (status(first), body) == (400, b"")
    assert b"Python" not in first
    assert b"nosniff" in first


async def test_a_body_that_breaks_off_is_a_400_at_most(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n{AUTH}Content-Length: 100\r\n\r\n{{".encode())
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer == b"" or status(answer) == 400


async def test_the_go_ahead_for_a_body_comes_after_the_credential_was_checked(gateway, provider):
    model = provider.model(says("Hello"))
    chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
    headers = ["Expect: 100-continue", f"Content-Length: {len(BODY)}", chosen]
    refused = await said(gateway, head(f"POST {CHAT} HTTP/1.1", *headers))
    assert status(refused) == 401
    assert b"100 Continue" not in refused
    answer = await said(gateway, head(f"POST {CHAT} HTTP/1.1", AUTH.strip(), *headers), BODY)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_body_too_large_to_expect_is_refused_without_a_go_ahead(gateway):
    headers = ["Expect: 100-continue", f"Content-Length: {2**30}"]
    assert status(await said(gateway, head(f"POST {CHAT} HTTP/1.1", AUTH.strip(), *headers))) == 413


async def test_an_http_1_0_client_gets_its_stream_without_chunks(gateway, provider):
    model = provider.model(says("Hel|lo"))
    body = BODY[:-1] + b',"stream":true}'
    chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
    start = f"POST {CHAT} HTTP/1.0\r\n{AUTH}{chosen}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = await said(gateway, start.encode() + body, to_the_end=True)
    first, _, events = answer.partition(b"\r\n\r\n")
    assert status(first) == 200
    assert b"chunked" not in first
    assert events.startswith(b"data: {")
    assert events.endswith(b"data: [DONE]\n\n")


async def test_an_absolute_uri_is_its_path(gateway):
    assert status(await said(gateway, head("GET http://gateway/v1/models HTTP/1.1", AUTH.strip()))) == 200


async def test_requests_sent_at_once_are_answered_in_order(gateway, provider):
    slow, quick = provider.model(says("first")), provider.model(says("second"))
    sent = b""
    for model, close in ((slow, ""), (quick, "Connection: close\r\n")):
        chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
        start = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n{AUTH}{chosen}\r\n{close}Content-Length: {len(BODY)}\r\n\r\n"
        sent += start.encode() + BODY
    answer = await said(gateway, sent, to_the_end=True)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"first") < answer.index(b"second")


async def test_an_upgrade_to_something_else_is_not_followed(gateway):
    answer = await said(gateway, head("GET /v1/models HTTP/1.1", AUTH.strip(), "Upgrade: h2c"))
    assert status(answer) == 200


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
    async with serving(tmp_path, changed) as other, aiohttp.ClientSession(other.url) as stranger:
        for path in served:
            async with stranger.post(path) as response:
                assert response.status == 401
                assert response.headers["Strict-Transport-Security"] == "max-age=60"
        for path in missing:
            async with stranger.post(path) as response:
                assert (response.status, await response.text()) == (404, "Not Found")


async def test_a_stop_signal_ends_the_process_well(config, tmp_path):
    async with serving(tmp_path, config) as other:
        await other.process.stop()
        assert await other.process.ended() == 0
