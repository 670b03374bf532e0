import pytest

from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.openai_error import classify, error_in


def too_long(path):
    message = f"Invalid '{path}': string too long. Expected a string with maximum length 40, but got 46."
    return {"message": message, "type": "invalid_request_error", "param": path, "code": "string_above_max_length"}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        # the status decides
        (400, {}, Kind.INVALID_REQUEST, None),
        (401, {}, Kind.AUTH, None),
        (402, {}, Kind.BILLING, None),
        (403, {}, Kind.AUTH, None),
        (404, {}, Kind.NOT_FOUND, None),
        (405, {}, Kind.INVALID_REQUEST, None),
        (407, {}, Kind.UNUSABLE, None),
        (408, {}, Kind.REPORTED_TIMEOUT, None),
        (409, {}, Kind.SERVER_ERROR, None),
        (410, {}, Kind.UNUSABLE, None),
        (413, {}, Kind.TOO_LARGE, None),
        (418, {}, Kind.INVALID_REQUEST, None),
        (421, {}, Kind.UNUSABLE, None),
        (422, {}, Kind.INVALID_REQUEST, None),
        (424, {}, Kind.SERVER_ERROR, None),
        (425, {}, Kind.SERVER_ERROR, None),
        (429, {}, Kind.RATE_LIMITED, None),
        (451, {}, Kind.INVALID_REQUEST, None),
        (498, {}, Kind.UNUSABLE, None),
        (499, {}, Kind.SERVER_ERROR, None),
        (500, {}, Kind.SERVER_ERROR, None),
        (103, {}, Kind.UNUSABLE, None),
        (204, {}, Kind.UNUSABLE, None),
        (307, {"code": "content_filter"}, Kind.UNUSABLE, "content_filter"),
        (502, {}, Kind.SERVER_ERROR, None),
        (503, {}, Kind.OVERLOADED, None),
        (504, {}, Kind.REPORTED_TIMEOUT, None),
        (520, {}, Kind.SERVER_ERROR, None),
        (529, {}, Kind.OVERLOADED, None),
        # unless code or type say more
        (400, {"code": "context_length_exceeded"}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        # one string that is too long, of the prompt's text or of something else
        (400, too_long("messages[0].content"), Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, too_long("input[3].content[0].text"), Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, too_long("input"), Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, {**too_long("input[1].output"), "param": None}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, too_long("messages[2].tool_calls[0].id"), Kind.INVALID_REQUEST, "string_above_max_length"),
        (400, too_long("tools[1].function.description"), Kind.INVALID_REQUEST, "string_above_max_length"),
        (400, {**too_long("input[9].call_id"), "param": None}, Kind.INVALID_REQUEST, "string_above_max_length"),
        (400, {"code": "string_above_max_length"}, Kind.INVALID_REQUEST, "string_above_max_length"),
        (400, {"type": "exceed_context_size_error"}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, {"code": "content_filter"}, Kind.CONTENT_FILTER, "content_filter"),
        (400, {"code": "content_policy_violation"}, Kind.CONTENT_FILTER, "content_filter"),
        (403, {"code": "content_filter"}, Kind.CONTENT_FILTER, "content_filter"),
        (429, {"code": "insufficient_quota"}, Kind.BILLING, "insufficient_quota"),
        (429, {"type": "insufficient_quota"}, Kind.BILLING, None),
        (429, {"code": "rate_limit_exceeded"}, Kind.RATE_LIMITED, "rate_limit_exceeded"),
        (401, {"code": "invalid_api_key"}, Kind.AUTH, "invalid_api_key"),
        (404, {"code": "model_not_found"}, Kind.NOT_FOUND, "model_not_found"),
        (400, {"code": "weird"}, Kind.INVALID_REQUEST, "weird"),
        # a code that the status contradicts says nothing
        (500, {"code": "content_filter"}, Kind.SERVER_ERROR, "content_filter"),
        (503, {"code": "context_length_exceeded"}, Kind.OVERLOADED, "context_length_exceeded"),
        (400, {"code": "rate_limit_exceeded"}, Kind.INVALID_REQUEST, "rate_limit_exceeded"),
        # the text decides for overflow alone, and only on a refusal of the request
        (
            400,
            {"message": "This model's maximum context length is 8192 tokens"},
            Kind.CONTEXT_OVERFLOW,
            "context_length_exceeded",
        ),
        (
            413,
            {"message": "the request exceeds the available context size"},
            Kind.CONTEXT_OVERFLOW,
            "context_length_exceeded",
        ),
        (400, {"message": "prompt is too long: 9 > 8"}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (400, {"message": "Too many tokens"}, Kind.CONTEXT_OVERFLOW, "context_length_exceeded"),
        (500, {"message": "maximum context length"}, Kind.SERVER_ERROR, None),
        (422, {"message": "maximum context length"}, Kind.INVALID_REQUEST, None),
        (500, {"message": "content policy"}, Kind.SERVER_ERROR, None),
        (400, {"message": "rate limit"}, Kind.INVALID_REQUEST, None),
        # without a status, code and type decide
        (None, {}, Kind.SERVER_ERROR, None),
        (None, {"code": "rate_limit_exceeded"}, Kind.RATE_LIMITED, "rate_limit_exceeded"),
        (None, {"type": "overloaded_error"}, Kind.OVERLOADED, None),
        (None, {"type": "invalid_request_error"}, Kind.INVALID_REQUEST, None),
        (None, {"type": "server_error"}, Kind.SERVER_ERROR, None),
        (None, {"type": "timeout"}, Kind.REPORTED_TIMEOUT, None),
        (None, {"code": "insufficient_quota"}, Kind.BILLING, "insufficient_quota"),
        (None, {"type": "not_found_error"}, Kind.NOT_FOUND, None),
        (None, {"type": "permission_error"}, Kind.AUTH, None),
    ],
)
def test_an_error_is_classified_by_status_then_code_then_type(status, error, kind, code):
    error_found = classify(status, {"error": error})
    assert (error_found.kind, error_found.code, error_found.upstream_status) == (kind, code, status)


GROQ = {
    "message": "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000",
    "type": "tokens",
    "code": "rate_limit_exceeded",
}
GOOGLE = {
    "code": 400,
    "message": "API key not valid. Please pass a valid API key.",
    "status": "INVALID_ARGUMENT",
    "details": [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage"},
    ],
}
FLAGGED = {"code": 403, "message": "Forbidden", "metadata": {"reasons": ["violence"], "flagged_input": "…"}}
TOO_DEAR = {"code": 402, "message": "You requested up to 64000 tokens, but can only afford 2119. Use fewer max_tokens."}


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (413, {"error": GROQ}, Kind.RATE_LIMITED),
        (413, {"error": {"message": GROQ["message"]}}, Kind.RATE_LIMITED),
        (413, {"error": {"message": "the request exceeds the available context size"}}, Kind.CONTEXT_OVERFLOW),
        (400, {"error": GOOGLE}, Kind.AUTH),
        (400, [{"error": GOOGLE}], Kind.AUTH),
        (400, {"error": GOOGLE | {"details": [{"reason": "BAD_FIELD"}]}}, Kind.INVALID_REQUEST),
        (400, {"error": GOOGLE | {"details": "odd"}}, Kind.INVALID_REQUEST),
        (403, {"error": FLAGGED}, Kind.CONTENT_FILTER),
        (403, {"error": {"message": "Your input was flagged by moderation"}}, Kind.CONTENT_FILTER),
        (402, {"error": {"message": "Rejected by our safety system"}}, Kind.CONTENT_FILTER),
        (403, {"error": {"message": "This key is not allowed"}}, Kind.AUTH),
        (403, {"error": {"message": "Your account has been flagged"}}, Kind.AUTH),
        (402, {"error": TOO_DEAR}, Kind.TOO_LARGE),
        (402, {"error": {"message": "Insufficient credits"}}, Kind.BILLING),
        (500, {"error": FLAGGED}, Kind.SERVER_ERROR),
        # No credit and unknown models, which a fallback can help.
        (400, {"error": {"message": "Your credit balance is too low to access the API."}}, Kind.BILLING),
        (400, {"error": {"message": "Invalid: 'Your credit balance is too low'"}}, Kind.INVALID_REQUEST),
        (400, {"code": "Arrearage", "message": "Access denied"}, Kind.BILLING),
        (429, {"error": {"type": "exceeded_current_quota_error", "message": "suspended"}}, Kind.BILLING),
        (429, {"error": {"code": "billing_not_active", "message": "not active"}}, Kind.BILLING),
        (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, Kind.BILLING),
        (429, {"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, Kind.RATE_LIMITED),
        (400, {"error": {"message": "acme/m-2 is not a valid model ID", "code": 400}}, Kind.NOT_FOUND),
        (400, {"error": {"message": "Model Not Exist", "code": "invalid_request_error"}}, Kind.NOT_FOUND),
        (400, {"message": "Invalid model: m", "type": "invalid_model"}, Kind.NOT_FOUND),
        (400, {"error": {"message": "gone", "code": "model_not_found"}}, Kind.NOT_FOUND),
        (400, {"error": {"message": "Invalid model input"}}, Kind.INVALID_REQUEST),
        (400, {"error": {"message": "The tool says: model m not found"}}, Kind.INVALID_REQUEST),
        # Filters.
        (400, {"error": {"code": "data_inspection_failed", "message": "inappropriate"}}, Kind.CONTENT_FILTER),
        (
            400,
            {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}},
            Kind.CONTENT_FILTER,
        ),
    ],
)
def test_what_providers_hide_behind_another_status_is_recognised(status, payload, kind):
    assert classify(status, payload).kind is kind


def test_a_status_that_is_no_answer_says_so():
    assert classify(307, None).message == "The provider answered with status 307, which is no answer."


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"error": {"detail": "no"}}, "no"),
        ({"error": {"message": " "}}, "The provider answered with status 400."),
        ({"error": {"message": {"a": 1}}}, "The provider answered with status 400."),
        ({"detail": [{"loc": ["body"]}]}, "The provider answered with status 400."),
        # The shapes of Mistral, Google's compatible endpoint, FastAPI, Cloudflare, and of servers by themselves.
        ({"message": {"detail": [{"loc": ["body", "zz"], "msg": "Extra inputs"}]}}, "body.zz: Extra inputs"),
        ([{"error": {"code": 400, "message": "no"}}], "no"),
        ({"detail": [{"loc": ["body", "n"], "msg": "no"}, {"loc": [], "msg": "again"}]}, "body.n: no; again"),
        ({"errors": [{"code": 7, "message": "no"}], "success": False}, "no"),
        ({"msg": "no"}, "no"),
        ({"error_message": "no"}, "no"),
        ({"error": "invalid_grant", "error_description": "no"}, "invalid_grant; no"),
        ({"error": {"error": {"message": "no"}}}, "no"),
        ({"error": {"message": "no", "details": "more"}}, "no"),
        ({"errors": ["no", "no", "never"]}, "no; never"),
        ({"error": {"errors": [{"reason": "no"}]}}, "no"),
        ({}, "The provider answered with status 400."),
        ([], "The provider answered with status 400."),
        ("no", "no"),
        (None, "The provider answered with status 400."),
    ],
)
def test_the_providers_own_sentence_is_found_where_servers_put_it(payload, message):
    assert classify(400, payload).message == message


def test_param_and_hint_are_passed_on():
    error_found = classify(429, {"error": {"param": "messages"}}, retry_after=2.5)
    assert (error_found.param, error_found.retry_after) == ("messages", 2.5)
    assert classify(400, {"error": {"param": 7, "code": 7}}).param is None


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 429, "message": "slow"}, Kind.RATE_LIMITED, 429),
        ({"code": 502}, Kind.SERVER_ERROR, 502),
        ({"code": 400}, Kind.INVALID_REQUEST, 400),
        ({"code": "rate_limit_exceeded"}, Kind.RATE_LIMITED, None),
        ({"code": True}, Kind.SERVER_ERROR, None),
        ({"code": 0}, Kind.SERVER_ERROR, None),
        ({"code": 1305}, Kind.SERVER_ERROR, None),
        ("no", Kind.SERVER_ERROR, None),
        (None, Kind.SERVER_ERROR, None),
    ],
)
def test_a_number_that_is_a_status_is_read_as_one(error, kind, status):
    error_found = error_in(error)
    assert (error_found.kind, error_found.upstream_status) == (kind, status)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"error":{"message":"max_tokens is too large"}}', "Provider returned error: max_tokens is too large"),
        ("upstream says no", "Provider returned error: upstream says no"),
        ("", "Provider returned error"),
        ({"a": 1}, "Provider returned error"),
        ({"error": {"message": "no"}}, "Provider returned error: no"),
    ],
)
def test_the_cause_behind_a_router_is_part_of_the_message(raw, message):
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw, "provider_name": "X"}}
    assert classify(400, {"error": error}).message == message


def test_an_overflow_of_anthropic_behind_a_proxy_is_an_overflow():
    text = "input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000"
    assert classify(400, {"error": {"message": text}}).kind is Kind.CONTEXT_OVERFLOW


def test_an_overflow_in_a_list_of_google_is_an_overflow():
    text = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575)."
    failure = classify(400, [{"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}])
    assert (failure.kind, failure.code) == (Kind.CONTEXT_OVERFLOW, "context_length_exceeded")


def test_a_deep_payload_has_no_reason():
    payload = "no"
    for _ in range(50):
        payload = {"error": payload}
    assert classify(400, payload).message == "The provider answered with status 400."


@pytest.mark.parametrize(
    ("code", "kind"),
    [(429, Kind.RATE_LIMITED), ("429", Kind.RATE_LIMITED), ("401", Kind.AUTH), ("400", Kind.INVALID_REQUEST),
     ("1302", Kind.SERVER_ERROR), ("²²²", Kind.SERVER_ERROR), ("0429", Kind.SERVER_ERROR)],
)  # fmt: skip
def test_the_code_of_an_error_in_a_200_may_be_a_status_as_a_number_or_a_text(code, kind):
    assert error_in({"message": "no", "type": "None", "param": "None", "code": code}).kind is kind


def test_a_rate_limit_without_a_header_has_the_hint_of_its_body():
    limited = {"message": "Rate limit reached. Please try again in 1m2.5s.", "code": "rate_limit_exceeded"}
    assert classify(429, {"error": limited}).retry_after == 62.5
    assert classify(429, {"error": limited}, retry_after=3.0).retry_after == 3.0
    assert classify(429, [{"error": {"details": [{"retryDelay": "37s"}]}}]).retry_after == 37.0
    assert classify(429, {"message": "slow down", "retry_after": 30}).retry_after == 30.0
    assert classify(400, {"error": limited}).retry_after is None
    assert error_in(limited).retry_after == 62.5
