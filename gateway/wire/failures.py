"""What all wire formats say about failures: the meaning of an HTTP status, and of an answer that can't be read.

The error object of a format may say more than the status.
"""

from typing import Any

from gateway.core.event import Finish
from gateway.core.jsonio import NOT_JSON, InvalidJSON
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.error_reason import beginning

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
    413: UpstreamKind.TOO_LARGE,
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


def malformed(what: str, of: str = "answer") -> UpstreamError:
    """The error for what a provider sent and nobody can read; `what` completes the sentence "could not be read: …"."""
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's {of} could not be read: {what}.")


def require_output(finish: Finish, completion: int) -> None:
    """Raise MALFORMED for the end of an answer without any content, unless the provider counts `completion` tokens of
    it: then that is the model's choice.
    """
    if finish.reason == "stop" and not completion:
        raise malformed("it is empty")


def unreadable(error: InvalidJSON, body: bytes, of: str = "answer") -> UpstreamError:
    """The error for a body or an event that can't be decoded. If it is no JSON, its words are likely to be the reason.

    No log quotes them, because they may be an answer after all; the title of a page is none.
    """
    failure = malformed(str(error), of)
    start = body.lstrip()[:1]
    if str(error).startswith(NOT_JSON) and start not in (b"{", b"[") and (words := beginning(body)):
        failure.message = f"{failure.message.removesuffix('.')}: {words}"
        failure.without_quotes = None if start == b"<" else malformed(str(error), of).message
    return failure


def broken_off(*, started: bool) -> UpstreamError:
    """The error for a stream that ended before its answer; `started`: a part of the answer had come."""
    if started:
        return UpstreamError(UpstreamKind.TRANSPORT, "The provider's stream broke off before it was complete.")
    return malformed("the stream ended without an answer")


def error_object(payload: Any) -> dict[str, Any]:
    """The error object of a decoded body: below `error`, at the top, or in a list of one (Google).

    A text becomes its `message`; anything else is empty.
    """
    if isinstance(payload, list) and payload:
        payload = payload[0]
    if not isinstance(payload, dict):
        return {"message": payload} if isinstance(payload, str) else {}
    error = payload.get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else payload
