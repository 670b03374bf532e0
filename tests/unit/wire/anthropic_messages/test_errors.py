import pytest

from gateway.core.upstream_error import UpstreamKind
from gateway.wire.anthropic_messages.errors import classify


def body(name="invalid_request_error", message="It failed.", code=None):
    error = {"type": name, "message": message}
    return {
        "type": "error",
        "error": error | ({"details": {"error_code": code}} if code else {}),
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (400, body(), UpstreamKind.INVALID_REQUEST),
        (400, body(message="prompt is too long: 210000 tokens > 200000 maximum"), UpstreamKind.CONTEXT_OVERFLOW),
        (
            400,
            body(message="input length and `max_tokens` exceed context limit: 199000 + 32000 > 200000"),
            UpstreamKind.CONTEXT_OVERFLOW,
        ),
        (400, body(message="Your credit balance is too low to access the Anthropic API."), UpstreamKind.BILLING),
        (400, body(message="You have reached your specified API usage limits."), UpstreamKind.BILLING),
        (400, body(message="Output blocked by content filtering policy"), UpstreamKind.CONTENT_FILTER),
        (400, body(code="organization_on_hold"), UpstreamKind.BILLING),
        (401, body("authentication_error", "invalid x-api-key"), UpstreamKind.AUTH),
        (402, body("billing_error"), UpstreamKind.BILLING),
        (403, body("permission_error"), UpstreamKind.AUTH),
        (404, body("not_found_error", "model: claude-x"), UpstreamKind.NOT_FOUND),
        (407, None, UpstreamKind.UNUSABLE),
        (408, body("timeout_error"), UpstreamKind.REPORTED_TIMEOUT),
        (409, body("conflict_error"), UpstreamKind.SERVER_ERROR),
        (413, body("request_too_large"), UpstreamKind.TOO_LARGE),
        (413, body("invalid_request_error", "Prompt is too long"), UpstreamKind.CONTEXT_OVERFLOW),
        (422, {"detail": "x"}, UpstreamKind.INVALID_REQUEST),
        (429, body("rate_limit_error"), UpstreamKind.RATE_LIMITED),
        (429, body("rate_limit_error", code="ramp_limit_exceeded"), UpstreamKind.RATE_LIMITED),
        (429, body("rate_limit_error", code="enforced_spend_limit_reached"), UpstreamKind.BILLING),
        (500, body("api_error"), UpstreamKind.SERVER_ERROR),
        (500, body("api_error", "prompt is too long"), UpstreamKind.SERVER_ERROR),
        (502, None, UpstreamKind.SERVER_ERROR),
        (503, "busy", UpstreamKind.OVERLOADED),
        (504, body("timeout_error"), UpstreamKind.REPORTED_TIMEOUT),
        (529, body("overloaded_error"), UpstreamKind.OVERLOADED),
        (301, None, UpstreamKind.UNUSABLE),
        (418, {"error": "teapot"}, UpstreamKind.INVALID_REQUEST),
        # In a stream, which began with the status 200.
        (None, body("overloaded_error"), UpstreamKind.OVERLOADED),
        (None, body("rate_limit_error"), UpstreamKind.RATE_LIMITED),
        (None, body("rate_limit_error", code="contract_spend_limit_reached"), UpstreamKind.BILLING),
        (None, body("api_error"), UpstreamKind.SERVER_ERROR),
        (None, body("timeout_error"), UpstreamKind.REPORTED_TIMEOUT),
        (None, body(message="prompt is too long"), UpstreamKind.CONTEXT_OVERFLOW),
        (None, body("authentication_error"), UpstreamKind.AUTH),
        (None, {"error": None}, UpstreamKind.SERVER_ERROR),
    ],
)
def test_errors_are_what_the_status_and_the_provider_say(status, payload, kind):
    assert classify(status, payload).kind is kind


def test_words_codes_and_hints_reach_the_client():
    error = classify(429, body("rate_limit_error", "Slow down.", "ramp_limit_exceeded"), retry_after=7.0)
    assert (error.message, error.code, error.retry_after, error.upstream_status) == (
        "Slow down.", "ramp_limit_exceeded", 7.0, 429,
    )  # fmt: skip
    assert classify(400, body(message="prompt is too long")).code == "context_length_exceeded"
    assert classify(400, body(message="Output blocked by content filtering policy")).code == "content_filter"
    assert classify(500, None).message == "The provider answered with status 500."
    assert classify(302, None).message == "The provider answered with status 302, which is no answer."
    assert classify(None, {}).message == "The provider reported an error."
