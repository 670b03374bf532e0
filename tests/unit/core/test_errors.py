import pytest

from gateway.core import errors
from gateway.core.errors import (
    BadRequest,
    ConfigError,
    GatewayError,
    LockedOut,
    MissingScope,
    ProxyAttributionRequired,
    Unauthorized,
)
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.openai_chat.error_body import error_body


def test_an_error_is_openais_error_object():
    error = BadRequest("`n`: one.", param="n", code="x")
    assert error_body(error) == {
        "error": {"message": "`n`: one.", "type": "invalid_request_error", "param": "n", "code": "x"}
    }
    assert (error.status, error.headers, str(error)) == (400, {}, "`n`: one.")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("BadRequest", 400, "invalid_request_error"),
        ("Unauthorized", 401, "unauthorized"),
        ("Forbidden", 403, "forbidden"),
        ("MissingScope", 403, "forbidden"),
        ("ProxyAttributionRequired", 403, "proxy_attribution_required"),
        ("NotFound", 404, "invalid_request_error"),
        ("RequestTimeout", 408, "invalid_request_error"),
        ("PayloadTooLarge", 413, "invalid_request_error"),
        ("RateLimited", 429, "rate_limited"),
        ("LockedOut", 429, "rate_limited"),
        ("Unavailable", 503, "unavailable"),
        ("ToolChoiceUnmet", 502, "api_error"),
    ],
)
def test_the_class_carries_status_and_type(name, status, kind):
    error = getattr(errors, name)
    assert (error.status, error.type) == (status, kind)
    assert f"{name} " in (errors.__doc__ or ""), "the tree at the top of the module shows every class"


def test_every_failure_of_the_tree_is_shown_at_the_top():
    def below(parent):
        return {parent.__name__}.union(*(below(child) for child in parent.__subclasses__()))

    ours = {name for name in below(GatewayError) if hasattr(errors, name)}
    assert {name for name in ours if name not in (errors.__doc__ or "")} == set()


def test_a_401_names_the_scheme_and_nothing_else():
    assert error_body(Unauthorized())["error"]["message"] == "Unauthorized"
    assert Unauthorized().headers == {"WWW-Authenticate": "Bearer"}


def test_a_missing_scope_has_its_recorded_body():
    assert error_body(MissingScope("operator.write")) == {
        "ok": False,
        "error": {
            "type": "forbidden",
            "message": "missing scope: operator.write",
            "details": {
                "code": "MISSING_SCOPE",
                "missingScope": "operator.write",
                "requiredScopes": ["operator.write"],
            },
        },
    }


def test_a_lock_names_its_end_and_an_attribution_error_its_remedy():
    assert LockedOut(7).headers == {"Retry-After": "7"}
    assert "gateway.trustedProxies" in ProxyAttributionRequired().message


@pytest.mark.parametrize(
    ("kind", "upstream_status", "status", "type_"),
    [
        (UpstreamKind.RATE_LIMITED, 429, 429, "upstream_rate_limited"),
        (UpstreamKind.OVERLOADED, 529, 503, "upstream_error"),
        (UpstreamKind.SERVER_ERROR, 500, 502, "upstream_error"),
        (UpstreamKind.AUTH, 401, 502, "upstream_auth_error"),
        (UpstreamKind.BILLING, 402, 502, "upstream_auth_error"),
        (UpstreamKind.NOT_FOUND, 404, 404, "invalid_request_error"),
        (UpstreamKind.NOT_FOUND, None, 404, "invalid_request_error"),
        (UpstreamKind.INVALID_REQUEST, 400, 400, "invalid_request_error"),
        (UpstreamKind.INVALID_REQUEST, 422, 422, "invalid_request_error"),
        (UpstreamKind.INVALID_REQUEST, 413, 413, "invalid_request_error"),
        (UpstreamKind.INVALID_REQUEST, 418, 400, "invalid_request_error"),
        (UpstreamKind.INVALID_REQUEST, None, 400, "invalid_request_error"),
        (UpstreamKind.CONTEXT_OVERFLOW, 413, 413, "invalid_request_error"),
        (UpstreamKind.CONTEXT_OVERFLOW, None, 400, "invalid_request_error"),
        (UpstreamKind.CONTENT_FILTER, 400, 400, "invalid_request_error"),
        (UpstreamKind.TIMEOUT, 504, 504, "upstream_timeout"),
        (UpstreamKind.REPORTED_TIMEOUT, 408, 504, "upstream_timeout"),
        (UpstreamKind.STALL, None, 504, "upstream_timeout"),
        (UpstreamKind.TOTAL_TIMEOUT, None, 504, "upstream_timeout"),
        (UpstreamKind.UNUSABLE, 307, 502, "upstream_error"),
        (UpstreamKind.TOO_LARGE, 402, 400, "invalid_request_error"),
        (UpstreamKind.CONNECT, None, 502, "upstream_error"),
        (UpstreamKind.LOCAL, None, 503, "upstream_error"),
        (UpstreamKind.TRANSPORT, None, 502, "upstream_error"),
        (UpstreamKind.MALFORMED, None, 502, "upstream_error"),
    ],
)
def test_a_providers_failure_has_the_status_and_type_of_its_kind(kind, upstream_status, status, type_):
    error = UpstreamError(kind, "x", upstream_status=upstream_status)
    assert (error.status, error.type) == (status, type_)


def test_every_kind_has_a_status_that_no_refusal_of_the_gateway_has():
    for kind in UpstreamKind:
        error = UpstreamError(kind, "x")
        assert error.status not in (401, 403), kind
        assert error.type != "rate_limited", kind


@pytest.mark.parametrize(
    ("kind", "retry_after", "headers"),
    [
        (UpstreamKind.RATE_LIMITED, None, {}),
        (UpstreamKind.RATE_LIMITED, 0.0, {"Retry-After": "1"}),
        (UpstreamKind.RATE_LIMITED, 0.2, {"Retry-After": "1"}),
        (UpstreamKind.RATE_LIMITED, 2.0, {"Retry-After": "2"}),
        (UpstreamKind.RATE_LIMITED, 2.01, {"Retry-After": "3"}),
        (UpstreamKind.OVERLOADED, 9.5, {"Retry-After": "10"}),
        (UpstreamKind.SERVER_ERROR, 9.5, {}),
        (UpstreamKind.INVALID_REQUEST, 9.5, {}),
    ],
)
def test_a_providers_hint_is_passed_on_in_whole_seconds(kind, retry_after, headers):
    assert UpstreamError(kind, "x", retry_after=retry_after).headers == headers


def test_a_configuration_error_lists_every_problem():
    error = ConfigError(("a: b", "c: d"))
    assert (error.problems, str(error)) == (("a: b", "c: d"), "a: b\nc: d")
