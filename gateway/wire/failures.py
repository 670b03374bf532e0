"""What an HTTP status of a provider says by itself; a wire format's error object may say more."""

from gateway.core.upstream_error import UpstreamKind

_BY_STATUS = {
    400: UpstreamKind.INVALID_REQUEST,
    401: UpstreamKind.AUTH,
    402: UpstreamKind.BILLING,
    403: UpstreamKind.AUTH,
    404: UpstreamKind.NOT_FOUND,
    # The provider's fault, or that of the way to it, whatever its class says.
    407: UpstreamKind.UNUSABLE,
    408: UpstreamKind.REPORTED_TIMEOUT,
    409: UpstreamKind.SERVER_ERROR,
    410: UpstreamKind.UNUSABLE,
    413: UpstreamKind.INVALID_REQUEST,
    421: UpstreamKind.UNUSABLE,
    422: UpstreamKind.INVALID_REQUEST,
    424: UpstreamKind.SERVER_ERROR,
    425: UpstreamKind.SERVER_ERROR,
    429: UpstreamKind.RATE_LIMITED,
    498: UpstreamKind.UNUSABLE,
    499: UpstreamKind.SERVER_ERROR,
    503: UpstreamKind.OVERLOADED,
    504: UpstreamKind.REPORTED_TIMEOUT,
    529: UpstreamKind.OVERLOADED,
}


def kind_of_status(status: int) -> UpstreamKind:
    """The kind of failure of a status other than 200."""
    if status < 400:
        return UpstreamKind.UNUSABLE
    return _BY_STATUS.get(status, UpstreamKind.SERVER_ERROR if status >= 500 else UpstreamKind.INVALID_REQUEST)


def default_message(status: int | None) -> str:
    """The message of a failure that the provider does not explain."""
    if status is None:
        return "The provider reported an error."
    suffix = ", which is no answer" if status < 400 else ""
    return f"The provider answered with status {status}{suffix}."
