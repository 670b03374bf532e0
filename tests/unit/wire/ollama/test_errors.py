import pytest

from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.ollama.errors import classify, error_in


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (400, "invalid options: num_ctx", Kind.INVALID_REQUEST, None),
        (400, "registry.ollama.ai/library/x does not support tools", Kind.INVALID_REQUEST, None),
        (400, '"x" does not support thinking', Kind.INVALID_REQUEST, None),
        (400, "the input length exceeds the context length", Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, "prompt too long; exceeded max context length by 4 tokens", Kind.CONTEXT_OVERFLOW,
         "context_length_exceeded"),
        (500, "the request exceeds the available context size", Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (401, "unauthorized", Kind.AUTH, None),
        (403, "this model requires a subscription, upgrade for access", Kind.AUTH, None),
        (402, "this model requires a subscription", Kind.BILLING, None),
        (404, "model 'qwen3:8b' not found", Kind.NOT_FOUND, "model_not_found"),
        (404, 'model "qwen3" not found, try pulling it first', Kind.NOT_FOUND, "model_not_found"),
        (429, "you have reached your hourly usage limit", Kind.RATE_LIMITED, "rate_limit_exceeded"),
        (429, "", Kind.RATE_LIMITED, None),
        (500, "model requires more system memory (9 GiB) than is available (8 GiB)", Kind.SERVER_ERROR, None),
        (500, "llama runner process has terminated: exit status 2", Kind.SERVER_ERROR, None),
        (502, "upstream is unavailable", Kind.SERVER_ERROR, None),
        (503, "server busy, please try again.  maximum pending requests exceeded", Kind.OVERLOADED, None),
        (302, "model 'x' not found", Kind.UNUSABLE, None),
        # in a stream at status 200 the text alone decides
        (None, "server busy, please try again", Kind.OVERLOADED, None),
        (None, "model 'x' not found", Kind.NOT_FOUND, "model_not_found"),
        (None, "something else", Kind.SERVER_ERROR, None),
    ],
)  # fmt: skip
def test_the_status_and_the_text_decide(status, text, kind, code):
    error = classify(status, {"error": text})
    assert (error.kind, error.code, error.upstream_status) == (kind, code, status)
    assert text in error.message


@pytest.mark.parametrize("payload", [{"error": {"message": "no"}}, {"message": "no"}, {"detail": "no"}])
def test_a_proxys_form_of_an_error_is_read(payload):
    assert classify(500, payload, retry_after=2.0).message == "no"


@pytest.mark.parametrize("payload", [None, [], "x", {"error": ""}, {"error": {"message": 1}}])
def test_an_error_without_a_text_names_the_status(payload):
    error = classify(500, payload, retry_after=2.0)
    assert (error.message, error.retry_after) == ("The provider answered with status 500.", 2.0)


def test_a_line_may_name_a_status():
    assert error_in({"error": "no", "status_code": 429}).kind is Kind.RATE_LIMITED
    assert error_in({"error": "no", "status_code": "x"}).kind is Kind.SERVER_ERROR
