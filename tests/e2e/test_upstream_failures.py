import asyncio
import re
import sys
import time

import pytest

from tests.e2e.answers import breaks_off, does, embeds, hangs, refuses, replies, says
from tests.e2e.provider import KEY
from tests.process import free_port, unaccepting_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}]}
EMBED = {"model": "openclaw", "input": "hi"}
CONNECT = 0.3  # seconds
LIMIT = 0.6  # seconds, of each other kind of waiting below
SLACK = 1.5  # seconds that a busy machine may add


@pytest.fixture(scope="module")
def full_port():
    with unaccepting_port() as port:
        yield port


@pytest.fixture(scope="module")
def config(config, provider, full_port):
    config["gateway"]["retry"] |= {
        "connectTimeoutMs": CONNECT * 1000,
        "firstEventTimeoutMs": LIMIT * 1000,
        "lastFirstEventTimeoutMs": LIMIT * 1000,
        "silenceTimeoutMs": LIMIT * 1000,
    }
    config["models"]["providers"] |= {
        "refusing": {"baseUrl": f"http://127.0.0.1:{free_port()}/v1"},
        "full": {"baseUrl": f"http://127.0.0.1:{full_port}/v1"},
        "named": {"baseUrl": provider.url.replace("127.0.0.1", "localhost")},  # addresses get no cookies
        "nowhere": {"baseUrl": "http://gateway-tests.invalid/v1"},
    }
    return config


async def failure(client, headers, body=HI, path=CHAT):
    """Status, error object and headers of a request that must fail."""
    async with client.post(path, json=body, headers=headers) as response:
        payload = await response.json()
        assert payload.keys() == {"error"}, payload
        assert payload["error"].keys() == {"message", "type", "param", "code"}
        return response.status, payload["error"], response.headers


STATUSES = {
    "bad key": (refuses(401, f"wrong key {KEY}, really"), 502, "upstream_auth_error", None),
    "billing": (refuses(402, "pay first"), 502, "upstream_auth_error", None),
    "forbidden": (refuses(403, f"{KEY} may not"), 502, "upstream_auth_error", None),
    "quota": (refuses(429, "spent", code="insufficient_quota"), 502, "upstream_auth_error", "insufficient_quota"),
    "rate limit": (refuses(429, "slow down"), 429, "upstream_rate_limited", None),
    "internal": (refuses(500, "oh"), 502, "upstream_error", None),
    "bad gateway": (replies(b"<html>502</html>", "text/html", status=502), 502, "upstream_error", None),
    "overloaded": (refuses(503, "later"), 503, "upstream_error", None),
    "overloaded too": (refuses(529, "later"), 503, "upstream_error", None),
    "their timeout": (refuses(504, "too slow"), 504, "upstream_timeout", None),
    "bad request": (refuses(400, "odd", code="odd_value"), 400, "invalid_request_error", "odd_value"),
    "no such model": (refuses(404, "none", code="model_not_found"), 404, "invalid_request_error", "model_not_found"),
    "too large": (refuses(413, "large"), 413, "invalid_request_error", None),
    "unprocessable": (refuses(422, "odd", code="odd_value"), 422, "invalid_request_error", "odd_value"),
    "context": (
        refuses(400, "long", code="context_length_exceeded"),
        400,
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "context in words": (
        refuses(413, "This model's maximum context length is 8 tokens"),
        413,
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "filter": (refuses(400, "no", code="content_filter"), 400, "invalid_request_error", "content_filter"),
    "a page": (replies(b"<html>hello</html>", "text/html"), 502, "upstream_error", None),
    "no json": (replies(b"{"), 502, "upstream_error", None),
    "nothing": (replies(b""), 502, "upstream_error", None),
    "another shape": (replies(b'{"choices":[]}'), 502, "upstream_error", None),
    "error inside a success": (replies(b'{"error":{"message":"oh"}}'), 502, "upstream_error", None),
    "limit inside a success": (
        replies(b'{"error":{"message":"slow","code":429}}'),
        429,
        "upstream_rate_limited",
        None,
    ),
    "redirect": (replies(b"", status=307, headers={"Location": "/v1/elsewhere"}), 502, "upstream_error", None),
    "broken connection": (does(breaks_off), 502, "upstream_error", None),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", STATUSES)
async def test_a_failure_before_the_first_event_has_its_own_status(client, provider, name, stream):
    answer, status, kind, code = STATUSES[name]
    model = provider.model(answer)
    got, error, _ = await failure(client, model.chosen, HI | {"stream": stream})
    assert (got, error["type"], error["code"]) == (status, kind, code)
    assert KEY not in error["message"]
    assert len(model.asked) == 1


@pytest.mark.parametrize("name", STATUSES)
async def test_a_failure_of_embeddings_has_its_own_status(client, provider, name):
    answer, status, kind, code = STATUSES[name]
    got, error, _ = await failure(client, provider.model(answer).chosen, EMBED, "/v1/embeddings")
    assert (got, error["type"], error["code"]) == (status, kind, code)
    assert KEY not in error["message"]


async def test_a_message_that_contained_a_key_is_reported_without_the_key(client, provider):
    model = provider.model(refuses(401, f"wrong key {KEY}, really; sk-other-0123456789 too"))
    _, error, _ = await failure(client, model.chosen)
    assert "wrong key [redacted], really; [redacted] too" in error["message"]


@pytest.mark.parametrize(
    ("status", "headers", "passed_on"),
    [
        (429, {"Retry-After": "90"}, "90"),
        (429, {"retry-after-ms": "1500"}, "2"),
        (503, {"Retry-After": "90"}, "90"),
        (429, {}, None),
        (500, {"Retry-After": "90"}, None),
        (429, {"Retry-After": "tomorrow"}, None),
    ],
)
async def test_a_provider_hint_when_to_retry_is_passed_on(client, provider, status, headers, passed_on):
    model = provider.model(refuses(status, "later", headers=headers))
    _, _, sent = await failure(client, model.chosen)
    assert sent.get("Retry-After") == passed_on


@pytest.mark.parametrize("body", [HI, HI | {"stream": True}, EMBED], ids=["whole", "streamed", "embeddings"])
async def test_a_silent_provider_is_given_up_within_the_limit(client, provider, body):
    model = provider.model(does(hangs))
    path = "/v1/embeddings" if body is EMBED else CHAT
    before = time.monotonic()
    status, error, _ = await failure(client, model.chosen, body, path)
    assert (status, error["type"]) == (504, "upstream_timeout")
    assert LIMIT <= time.monotonic() - before < LIMIT + SLACK
    async with asyncio.timeout(30):
        await model.abandoned.wait()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "cause"),
    [("refusing", r"\(127.0.0.1:\d+\) refused the connection\.$"), ("nowhere", r"host name can't be resolved \(")],
)
async def test_a_provider_that_can_not_be_reached_is_a_502_that_names_the_cause(client, name, cause, stream):
    before = time.monotonic()
    status, error, _ = await failure(client, {"x-openclaw-model": f"{name}/x"}, HI | {"stream": stream})
    assert (status, error["type"]) == (502, "upstream_error")
    assert f"'{name}'" in error["message"]
    assert re.search(cause, error["message"])
    assert time.monotonic() - before < LIMIT + SLACK


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog is refused elsewhere")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_that_accepts_no_connection_is_a_502_within_the_limit(client, stream):
    before = time.monotonic()
    status, error, _ = await failure(client, {"x-openclaw-model": f"full/{stream}"}, HI | {"stream": stream})
    assert (status, error["type"]) == (502, "upstream_error")
    assert "did not accept a connection" in error["message"]
    assert CONNECT <= time.monotonic() - before < CONNECT + SLACK


async def test_an_unknown_provider_is_a_404(client):
    status, error, _ = await failure(client, {"x-openclaw-model": "ghost/x"})
    assert (status, error["type"], error["code"]) == (404, "invalid_request_error", "model_not_found")


async def test_nothing_of_the_callers_headers_reaches_the_provider(client, provider):
    private = {
        "Cookie": "session=1",
        "x-api-key": "caller",
        "x-openclaw-session-key": "mine",
        "X-Request-ID": "trace-7",
        "OpenAI-Organization": "org",
        "User-Agent": "caller/1",
        "traceparent": "00-1-2-3",
    }
    chat, embedding = provider.model(says("Hello")), provider.model(embeds([1.0]))
    for model, path, body in ((chat, CHAT, HI), (embedding, "/v1/embeddings", EMBED)):
        async with client.post(path, json=body, headers=private | model.chosen) as response:
            assert response.status == 200
        (asked,) = model.asked
        assert asked.headers.keys() == {
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Content-Type",
            "Content-Length",
            "Authorization",
        }
        assert asked.headers["Authorization"] == f"Bearer {KEY}"
        assert asked.headers["User-Agent"].startswith("openclaw-gateway/")


async def test_a_cookie_of_a_provider_is_neither_stored_nor_passed_on(client, provider):
    model = provider.model(refuses(400, "no", headers={"Set-Cookie": "theirs=1"}))
    for _ in range(2):
        _, _, sent = await failure(client, {"x-openclaw-model": f"named/{model.id}"})
        assert "Set-Cookie" not in sent
    assert len(model.asked) == 2
    assert all("Cookie" not in asked.headers for asked in model.asked)
