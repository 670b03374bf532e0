from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.failure import from_exception, from_status, redacted, retry_after
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import (
    BodyBroken,
    CannotConnect,
    CertificateInvalid,
    ConnectionTimeout,
    Disconnected,
    NotHTTP,
)

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
KEY = "key-of-the-tests-0123456789"
PROVIDER = Provider("acme", "http://acme/v1", api_key=KEY)


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


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"error":{"message":"bad","code":"x"}}', UpstreamKind.INVALID_REQUEST, "bad"),
        (404, b'{"detail":"Not Found"}', UpstreamKind.NOT_FOUND, "Not Found"),
        (500, b"<html>", UpstreamKind.SERVER_ERROR, "The provider answered with status 500."),
        (503, b"", UpstreamKind.OVERLOADED, "The provider answered with status 503."),
        (429, b"[1]", UpstreamKind.RATE_LIMITED, "The provider answered with status 429."),
        (401, b'{"error":"no"}', UpstreamKind.AUTH, "The provider 'acme' refused the gateway's credential: no"),
        (402, b'{"error":"no"}', UpstreamKind.BILLING, "The provider 'acme' refused the gateway's credential: no"),
    ],
)
def test_a_status_becomes_one_failure(status, body, kind, message):
    error = from_status(PROVIDER, status, {}, body)
    assert (error.kind, error.message, str(error)) == (kind, message, message)
    assert error.upstream_status == status


def test_the_hint_of_a_status_is_kept():
    assert from_status(PROVIDER, 429, CIMultiDict({"Retry-After": "7"}), b"").headers == {"Retry-After": "7"}


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
    error = from_status(PROVIDER, status, {}, f'{{"error":{{"message":"{text}"}}}}'.encode())
    for shown in (error.message, str(error), repr(error), str(error.payload())):
        assert KEY not in shown
        assert "abcdefghijklmnopqrstuvwxyz" not in shown
        assert "redacted" in shown.lower()


def test_a_long_message_is_cut():
    error = redacted(PROVIDER, UpstreamError(UpstreamKind.SERVER_ERROR, "x " * 50_000))
    assert len(error.message) <= 2000


@pytest.mark.parametrize(
    ("exception", "kind", "text"),
    [
        (ConnectionTimeout(), UpstreamKind.TRANSPORT, "did not accept a connection within 10 s"),
        (CertificateInvalid(), UpstreamKind.TRANSPORT, "offered no valid TLS certificate"),
        (CannotConnect(), UpstreamKind.TRANSPORT, "could not be reached"),
        (TimeoutError(), UpstreamKind.TIMEOUT, "did not answer within 2.5 s"),
        (Disconnected(untouched=True), UpstreamKind.TRANSPORT, "closed the connection without an answer"),
        (BodyBroken(), UpstreamKind.TRANSPORT, "broke off its answer"),
        (NotHTTP(KEY), UpstreamKind.MALFORMED, "not HTTP"),
    ],
)
def test_an_exception_of_the_transport_becomes_one_failure(exception, kind, text):
    error = from_exception(PROVIDER, exception, connect=10.0, wait=2.5)
    assert error.kind is kind
    assert error.message.startswith("The provider 'acme' ")
    assert text in error.message
