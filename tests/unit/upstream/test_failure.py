import json
import time
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from multidict import CIMultiDict

from gateway.core.jsonio import dumps
from gateway.core.turn import Options, Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.failure import from_exception, from_status, presentable, retry_after, with_advice
from gateway.upstream.provider import Provider, secrets_in
from gateway.upstream.transport.errors import (
    BodyBroken,
    CannotConnect,
    ConnectionTimeout,
    Disconnected,
    NameUnknown,
    NoFileDescriptors,
    NotHTTP,
    StaleConnection,
    TlsFailed,
)
from gateway.wire import DEFAULT_UPSTREAM, UPSTREAMS
from gateway.wire.openai_chat.error_body import error_body

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
KEY = "key-of-the-tests-0123456789"
PROVIDER = Provider("acme", "http://acme/v1", api_key=KEY)
FORMAT = UPSTREAMS[DEFAULT_UPSTREAM]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": " 3 "}, 3.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After-Ms": "1500"}, 1.5),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After-Ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "Wed, 04 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Wed, 04 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 04 Mar 2026 13:00:30 +0100"}, 30.0),
        ({"Retry-After": "Wed, 04 Mar 2026 12:00:30"}, None),
        ({"Retry-After": "Wed, 04 Mar 2026 15:00:30 GMT", "Date": "Wed, 04 Mar 2026 15:00:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 04 Mar 2026 12:00:30 GMT", "Date": "today"}, 30.0),
        ({"Retry-After": "Wed, 04 Mar 2026 12:00:30 GMT", "Date": "Wed, 04 Mar 2026 12:00:00"}, 30.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e400"}, None),
        ({"Retry-After-Ms": "inf", "Retry-After": "9"}, 9.0),
    ],
)
def test_a_providers_hint_is_seconds_or_a_date(headers, seconds):
    assert retry_after(CIMultiDict(headers), NOW) == seconds


NAME = "The provider 'acme' (acme:80)"
NO_ENDPOINT = f"{NAME} has no endpoint for openai-completions there"
ADVICE = "check models.providers.acme.baseUrl"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"error":{"message":"bad","code":"x"}}', UpstreamKind.INVALID_REQUEST, "bad"),
        (404, b'{"error":{"message":"model x not found"}}', UpstreamKind.NOT_FOUND, "model x not found"),
        (404, b"", UpstreamKind.NOT_FOUND, f"{NO_ENDPOINT} (status 404); {ADVICE}."),
        (
            404,
            b"404 page not found",
            UpstreamKind.NOT_FOUND,
            f"{NO_ENDPOINT} (status 404: 404 page not found); {ADVICE}.",
        ),
        (404, b'{"detail":"Not Found"}', UpstreamKind.NOT_FOUND, f"{NO_ENDPOINT} (Not Found); {ADVICE}."),
        (
            404,
            b'{"error":{"message":"Invalid URL (POST /v1/v1/chat)"}}',
            UpstreamKind.NOT_FOUND,
            f"{NO_ENDPOINT} (Invalid URL (POST /v1/v1/chat)); {ADVICE}.",
        ),
        (500, b"<html>", UpstreamKind.SERVER_ERROR, f"{NAME} answered with status 500."),
        (500, b'{"error":"oh"}', UpstreamKind.SERVER_ERROR, f"{NAME} failed: oh"),
        (503, b"", UpstreamKind.OVERLOADED, f"{NAME} answered with status 503."),
        (429, b"[1]", UpstreamKind.RATE_LIMITED, f"{NAME} answered with status 429: [1]"),
        (307, b"", UpstreamKind.UNUSABLE, f"{NAME} answered with status 307, which is no answer."),
        (401, b'{"error":"no"}', UpstreamKind.AUTH, f"{NAME} refused the gateway's credential: no"),
        (402, b'{"error":"no"}', UpstreamKind.BILLING, f"{NAME} refused the gateway's credential: no"),
    ],
)
def test_a_status_becomes_one_failure_that_names_the_provider_once(status, body, kind, message):
    error = presentable(PROVIDER, from_status(FORMAT, status, {}, body), ())
    assert (error.kind, error.message, str(error)) == (kind, message, message)
    assert error.upstream_status == status


@pytest.mark.parametrize(
    ("headers", "final"), [({"X-Should-Retry": "false"}, True), ({"x-should-retry": "true"}, False)]
)
def test_a_provider_may_say_that_a_retry_is_useless(headers, final):
    assert from_status(FORMAT, 529, CIMultiDict(headers), b"").final is final
    assert from_status(FORMAT, 529, {}, b"").final is False


@pytest.mark.parametrize(("status", "kind"), [(400, UpstreamKind.INVALID_REQUEST), (503, UpstreamKind.OVERLOADED)])
def test_an_error_with_a_number_of_thousands_of_digits_is_the_failure_of_its_status(status, kind):
    body = b'{"error":{"message":"oh","code":' + b"1" * 4301 + b"}}"
    assert from_status(FORMAT, status, {}, body).kind is kind


def test_the_hint_of_a_status_is_kept():
    assert from_status(FORMAT, 429, CIMultiDict({"Retry-After": "7"}), b"").headers == {"Retry-After": "7"}


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        f"{KEY} {KEY}",
        "Incorrect API key provided: sk-abcdefghijklmnopqrstuvwxyz123456.",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_no_key_leaves_in_a_message(text, status):
    error = presentable(PROVIDER, from_status(FORMAT, status, {}, f'{{"error":{{"message":"{text}"}}}}'.encode()), ())
    for shown in (error.message, str(error), repr(error), str(error_body(error))):
        assert KEY not in shown
        assert "abcdefghijklmnopqrstuvwxyz" not in shown
        assert "redacted" in shown.lower()


@pytest.mark.parametrize("field", ["message", "code", "param"])
@pytest.mark.parametrize("secret", ["first-key", "second-key", "header-secret", "bearer-part", "url-password"])
def test_no_secret_of_the_row_leaves_in_any_field(field, secret):
    headers = {"X-Org": "header-secret", "X-Auth": "Token bearer-part"}
    url = "http://user:url-password@acme/v1"
    row = Provider("acme", url, secrets=secrets_in(("first-key", "second-key", None), headers, url))
    body = dumps({"error": {"message": "m", field: f"x {secret} y"}})
    error = presentable(row, from_status(FORMAT, 400, {}, body), ())
    assert secret not in str(error_body(error))
    assert "x [redacted] y" in str(error_body(error))


def test_a_key_that_is_no_secret_damages_no_words():
    row = Provider("acme", "http://acme/v1", api_key="x", secrets=secrets_in(("x", "none"), {}, "http://acme/v1"))
    error = presentable(
        row, UpstreamError(UpstreamKind.INVALID_REQUEST, "max_tokens exceeds the context: none left"), ()
    )
    assert error.message == "max_tokens exceeds the context: [redacted] left"


def test_a_long_message_is_cut():
    error = presentable(PROVIDER, UpstreamError(UpstreamKind.SERVER_ERROR, "x " * 50_000, code="c" * 5000), ())
    assert len(error.message) <= 2000
    assert len(error.code) <= 200


@pytest.mark.parametrize(
    ("exception", "kind", "text"),
    [
        (
            ConnectionTimeout("did not accept a connection"),
            UpstreamKind.CONNECT_TIMEOUT,
            "did not accept a connection within 10 s.",
        ),
        (NameUnknown("no such name"), UpstreamKind.CONNECT, "its host name can't be resolved (no such name)."),
        (CannotConnect("refused the connection"), UpstreamKind.CONNECT, "refused the connection."),
        (TlsFailed("its certificate is not trusted (x)"), UpstreamKind.TLS, "its certificate is not trusted (x)."),
        (NoFileDescriptors("Too many open files"), UpstreamKind.LOCAL, "(Too many open files)."),
        (StaleConnection("x"), UpstreamKind.STALE, "closed an idle connection when it was used again."),
        (Disconnected(untouched=True), UpstreamKind.TRANSPORT, "closed the connection without an answer."),
        (BodyBroken(), UpstreamKind.TRANSPORT, "broke off its answer."),
        (NotHTTP(KEY), UpstreamKind.MALFORMED, "answered with something that is not HTTP."),
    ],
)
def test_an_exception_of_the_transport_becomes_one_failure(exception, kind, text):
    error = from_exception(PROVIDER, exception, connect=10.0)
    assert error.kind is kind
    assert error.message.startswith(NAME)
    assert error.message.endswith(text)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800000"}, 86_400.0),
        ({"X-RateLimit-Reset": "1741305600000"}, 0.0),
        ({"Retry-After": "7", "X-RateLimit-Reset": "4102444800000"}, 7.0),
        ({"X-RateLimit-Reset": "60"}, None),
        ({"X-RateLimit-Reset": 60}, None),
        ("odd", None),
    ],
)
def test_a_hint_in_the_headers_behind_an_aggregator_is_read(headers, seconds):
    body = json.dumps({"error": {"message": "no", "code": 429, "metadata": {"headers": headers}}}).encode()
    assert from_status(FORMAT, 429, {}, body).retry_after == seconds
    assert from_status(FORMAT, 429, {"retry-after": "3"}, body).retry_after == 3.0


@pytest.mark.parametrize("hint", ["1e308", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_hint_beyond_a_day_is_a_day(hint):
    assert retry_after(CIMultiDict({"Retry-After": hint}), NOW) == 86_400


def test_a_refused_call_without_a_key_says_where_to_set_one():
    provider = Provider("groq", "https://api.groq.com/openai/v1")
    error = presentable(provider, UpstreamError(UpstreamKind.AUTH, "Invalid API Key"), ())
    expected = "refused a call without a key (set models.providers.groq.apiKey): Invalid API Key"
    assert error.message == f"The provider 'groq' (api.groq.com:443) {expected}"


@pytest.mark.parametrize(
    "text",
    [
        "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
        '"llama3" does not support thinking',
        "Unrecognized request argument supplied: reasoning_effort",
        "thinking: Extra inputs are not permitted",
    ],
)
def test_a_refused_effort_comes_with_the_setting_that_keeps_it_back(text):
    turn = Turn("openclaw", (), options=Options(effort="low"))
    error = with_advice(PROVIDER, UpstreamError(UpstreamKind.INVALID_REQUEST, text), turn)
    advice = "compat.supportsReasoningEffort: false of the model in models.providers.acme"
    assert error.message == f"{text.rstrip('.')}. With {advice}, the gateway does not send it."
    for other in (Turn("openclaw", ()), replace(turn, options=Options())):
        assert with_advice(PROVIDER, UpstreamError(UpstreamKind.INVALID_REQUEST, text), other).message == text


@pytest.mark.parametrize("text", ["messages: at least one is required", "I think that is wrong", "invalid image"])
def test_other_refusals_come_without_that_advice(text):
    turn = Turn("openclaw", (), options=Options(effort="low"))
    assert with_advice(PROVIDER, UpstreamError(UpstreamKind.INVALID_REQUEST, text), turn).message == text


def test_a_message_that_quotes_a_hostile_prompt_is_searched_in_a_moment():
    """Providers quote prompts: a client must not be able to stop the event loop with one."""
    error = UpstreamError(UpstreamKind.INVALID_REQUEST, "think" * 13_000)
    turn = Turn("openclaw", (), options=Options(effort="high"))
    began = time.process_time()
    with_advice(PROVIDER, error, turn)
    assert time.process_time() - began < 0.5
