"""Web pages of allowed origins read answers; those of others do not (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

import pytest

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
PAGE = "https://chat.example"
ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def origins():
    return [PAGE, "http://localhost:3000"]


@pytest.fixture
def config(config, origins):
    config["gateway"]["controlUi"] = {"allowedOrigins": origins}
    return config


def preflight(client, path, origin=PAGE, method="POST", headers="authorization,content-type"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers={**asked, "Authorization": ""})


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/embeddings"])
async def test_a_preflight_of_an_allowed_page_is_answered_without_a_credential(client, path):
    response = await preflight(client, path)
    assert response.status == 204
    assert response.headers[ALLOW] == PAGE
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    assert response.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert response.headers["Vary"] == "Origin"


async def test_a_preflight_names_the_methods_of_its_path(client):
    response = await preflight(client, MODELS, method="GET")
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"


@pytest.mark.parametrize("headers", ["a\tb", "x" * 1001, "a(b)"])
async def test_header_names_that_are_none_are_not_allowed(client, headers):
    assert "Access-Control-Allow-Headers" not in (await preflight(client, CHAT, headers=headers)).headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://chat.example", "null", "https://chat.example:8443"])
async def test_another_page_gets_no_permission(client, provider, origin):
    provider.says("Hello")
    response = await preflight(client, CHAT, origin)
    assert (response.status, response.headers.get(ALLOW)) == (405, None)
    response = await client.post(CHAT, json=ASK, headers={"Origin": origin})
    assert not any(name.startswith("Access-Control-") for name in response.headers)


async def test_options_without_a_preflight_is_no_method(client):
    response = await client.options(CHAT, headers={"Origin": PAGE})
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_and_its_headers_can_be_read(client, provider, stream):
    provider.says("Hello")
    response = await client.post(CHAT, json={**ASK, "stream": stream}, headers={"Origin": PAGE})
    assert response.status == 200
    assert (response.headers[ALLOW], response.headers["Access-Control-Allow-Credentials"]) == (PAGE, "true")
    exposed = response.headers["Access-Control-Expose-Headers"].lower().split(", ")
    simple = (
        "content-",
        "date",
        "cache-control",
        "access-",
        "vary",
        "x-content-type",
        "referrer",
        "permissions",
        "transfer",
    )
    ours = {
        name.lower() for name in response.headers if not name.lower().startswith((*simple, "x-accel", "connection"))
    }
    assert ours <= set(exposed)
    assert "x-openclaw-model" in ours


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [(CHAT, {"Authorization": "Bearer wrong"}, 401), ("/nowhere", {}, 404), (MODELS, {}, 405)],
)
async def test_a_refusal_can_be_read_too(client, path, headers, status):
    response = await client.post(path, json=ASK, headers={"Origin": PAGE, **headers})
    assert (response.status, response.headers[ALLOW]) == (status, PAGE)


async def test_a_request_that_is_no_pages_has_no_such_headers(client):
    assert not any(name.startswith("Access-Control-") for name in (await client.get(MODELS)).headers)


class TestLimits:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["limits"] = [{"name": "all", "requestsPerMinute": 100}]
        return config

    async def test_the_headers_about_limits_stay(self, client, provider):
        provider.says("Hello")
        response = await client.post(CHAT, json=ASK, headers={"Origin": PAGE})
        assert response.headers["x-ratelimit-limit-requests"] == "100"
        assert response.headers[ALLOW] == PAGE


class TestEveryOrigin:
    @pytest.fixture
    def origins(self):
        return ["*"]

    async def test_all_pages_may_read_but_never_with_credentials_of_the_browser(self, client):
        response = await client.get(MODELS, headers={"Origin": "https://any.example"})
        assert response.headers[ALLOW] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert (await preflight(client, CHAT, "https://any.example")).status == 204


class TestNoOrigin:
    @pytest.fixture
    def origins(self):
        return []

    async def test_without_configuration_no_page_may_read(self, client):
        response = await client.get(MODELS, headers={"Origin": "http://localhost:3000"})
        assert ALLOW not in response.headers
        assert (await preflight(client, CHAT, "http://localhost:3000")).status == 405


@pytest.mark.parametrize(
    "path",
    [MODELS, "/v1/models/openclaw", "/openapi.json", "/api/v1/sessions", "/api/v1/locks", "/v1/responses/{id}",
     "/v1/responses/{id}/input_items", "/api/v1/runs/{run}"],
)  # fmt: skip
async def test_head_works_where_get_does_and_has_no_body(client, provider, path):
    provider.says("Hello")
    made = await client.post("/v1/responses", json={"model": "openclaw", "input": "hi"})
    path = path.format(id=(await made.json())["id"], run=made.headers["X-Request-ID"])
    got, head = await client.get(path), await client.head(path)
    assert (
        (head.status, head.headers["Content-Type"])
        == (got.status, got.headers["Content-Type"])
        == (200, head.headers["Content-Type"])
    )
    assert await head.read() == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
