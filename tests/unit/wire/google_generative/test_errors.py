from typing import Any

import pytest

from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.google_generative.errors import classify, error_in

INFO = {"@type": "type.googleapis.com/google.rpc.ErrorInfo"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."


def quota(name: str) -> dict[str, Any]:
    violation = {"quotaMetric": "generate_content_free_tier_requests", "quotaId": name, "quotaValue": "250"}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code", "hint"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "Unknown name"}, Kind.INVALID_REQUEST, None, None),
        (400, {"message": "API key not valid. Please pass a valid API key.",
               "details": [{**INFO, "reason": "API_KEY_INVALID"}]}, Kind.AUTH, "invalid_api_key", None),
        (400, {"message": "API key expired. Please renew the API key."}, Kind.AUTH, "invalid_api_key", None),
        (403, {"details": [{**INFO, "reason": "SERVICE_DISABLED"}]}, Kind.AUTH, "invalid_api_key", None),
        (403, {"status": "PERMISSION_DENIED"}, Kind.AUTH, None, None),
        (401, {"status": "UNAUTHENTICATED"}, Kind.AUTH, None, None),
        (400, {"status": "INVALID_ARGUMENT", "message": TOO_LONG}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded",
         None),
        (400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported for the API use."},
         Kind.BILLING, None, None),
        (404, {"status": "NOT_FOUND", "message": "models/x is not found"}, Kind.NOT_FOUND, "model_not_found", None),
        (429, {"status": "RESOURCE_EXHAUSTED"}, Kind.RATE_LIMITED, None, 5.0),  # the header's
        (429, {"details": [RETRY, quota("GenerateRequestsPerMinutePerProjectPerModel")]}, Kind.RATE_LIMITED, None,
         37.0),
        (429, {"details": [quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), RETRY]}, Kind.RATE_LIMITED,
         None, 3600.0),
        (500, {"status": "INTERNAL"}, Kind.SERVER_ERROR, None, None),
        (503, {"status": "UNAVAILABLE", "message": "The model is overloaded."}, Kind.OVERLOADED, None, 5.0),
        (504, {"status": "DEADLINE_EXCEEDED"}, Kind.REPORTED_TIMEOUT, None, None),
        (503, {"status": "INVALID_ARGUMENT"}, Kind.OVERLOADED, None, None),  # contradicts the status
        (308, {"status": "NOT_FOUND"}, Kind.UNUSABLE, None, None),
        (None, {"status": "RESOURCE_EXHAUSTED", "details": [RETRY]}, Kind.RATE_LIMITED, None, 37.0),
        (None, {"status": "UNAVAILABLE"}, Kind.OVERLOADED, None, None),
        (None, {}, Kind.SERVER_ERROR, None, None),
    ],
)  # fmt: skip
def test_status_name_and_details_decide(status, error, kind, code, hint):
    header = hint if hint == 5.0 else None
    for payload in ({"error": error}, [{"error": error}], error):
        told = classify(status, payload, retry_after=header)
        assert (told.kind, told.code, told.retry_after) == (kind, code, hint)
        assert told.message.startswith(error.get("message", "The provider"))


@pytest.mark.parametrize(
    "payload", [None, [], "x", 7, {"error": "text"}, {"error": {"details": [1, {"violations": 2}]}}]
)
def test_any_body_is_classified(payload):
    assert classify(500, payload).kind is Kind.SERVER_ERROR


def test_an_error_in_a_stream_may_have_a_status():
    assert error_in({"code": 429, "message": "slow"}).upstream_status == 429
    assert error_in({"code": 8, "status": "RESOURCE_EXHAUSTED"}).kind is Kind.RATE_LIMITED
