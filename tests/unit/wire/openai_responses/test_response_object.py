import pytest

from gateway.core.errors import BadRequest, LockedOut, ToolChoiceUnmet
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import NO_USAGE
from gateway.wire.openai_responses.response_object import error_object, usage_object


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ToolChoiceUnmet("not met"), "server_error"),
        (UpstreamError(UpstreamKind.RATE_LIMITED, "slow down"), "rate_limit_exceeded"),
        (LockedOut(1), "rate_limit_exceeded"),
        (BadRequest("bad"), "invalid_prompt"),
        (
            UpstreamError(UpstreamKind.CONTEXT_OVERFLOW, "too long", code="context_length_exceeded"),
            "context_length_exceeded",
        ),
    ],
)
def test_an_error_without_a_code_gets_openais_code_for_its_status(error, code):
    assert error_object(error) == {"code": code, "message": error.message, "type": error.type, "param": None}


def test_missing_usage_is_reported_as_zeros():
    usage = usage_object(NO_USAGE)
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (0, 0, 0)
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}
