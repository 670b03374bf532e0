import pytest

from gateway.core.upstream_error import UpstreamKind
from gateway.wire import UPSTREAMS
from gateway.wire.failures import error_object


@pytest.mark.parametrize("api", UPSTREAMS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, UpstreamKind.UNUSABLE),
        (401, UpstreamKind.AUTH),
        (402, UpstreamKind.BILLING),
        (421, UpstreamKind.UNUSABLE),
        (429, UpstreamKind.RATE_LIMITED),
        (499, UpstreamKind.SERVER_ERROR),
        (503, UpstreamKind.OVERLOADED),
        (504, UpstreamKind.REPORTED_TIMEOUT),
        (529, UpstreamKind.OVERLOADED),
    ],
)
def test_a_status_without_an_explanation_means_the_same_in_every_format(api, status, kind):
    error = UPSTREAMS[api].error(status, None, None)
    assert (error.kind, error.upstream_status) == (kind, status)
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"error": {"message": "no"}}, {"message": "no"}),
        ([{"error": {"message": "no"}}], {"message": "no"}),
        ({"error": "no"}, {"message": "no"}),
        ({"message": "no"}, {"message": "no"}),
        ("no", {"message": "no"}),
        ([], {}),
        (None, {}),
        (7, {}),
    ],
)
def test_the_error_object_is_found_wherever_a_server_puts_it(payload, fields):
    assert error_object(payload) == fields
