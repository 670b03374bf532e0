"""A provider's failure → one UpstreamError: statuses and client exceptions here, error objects in the wire.

Nothing that looks like a credential leaves in a message: the row's own key is cut out literally, other keys by shape.
"""

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.observe.redact import redact_text
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import (
    BodyBroken,
    CannotConnect,
    CertificateInvalid,
    ConnectionTimeout,
    Disconnected,
)
from gateway.wire.openai_chat.errors import classify

_MAX_MESSAGE = 2000


def from_status(provider: Provider, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The failure that a status of 400 and above reports; its body is read as OpenAI's error object if it is one."""
    try:
        payload = loads(body)
    except InvalidJSON:
        payload = None
    error = classify(status, payload, retry_after=retry_after(headers, datetime.now(UTC)))
    return redacted(provider, error)


def redacted(provider: Provider, error: UpstreamError) -> UpstreamError:
    """The same failure, safe to show: no key, and of bounded length."""
    message = error.message
    if provider.api_key:
        message = message.replace(provider.api_key, "[redacted]")
    message = redact_text(message)[:_MAX_MESSAGE]
    if error.kind in (UpstreamKind.AUTH, UpstreamKind.BILLING):
        message = f"The provider '{provider.id}' refused the gateway's credential: {message}"
    error.message = message
    error.args = (message,)
    return error


def from_exception(provider: Provider, error: Exception, *, connect: float, wait: float) -> UpstreamError:
    """The failure behind an exception of the transport; `connect` and `wait` are the limits in seconds.

    Who was silent once is not asked again at the caller's expense, and a certificate does not change in a second.
    """
    name = f"The provider '{provider.id}'"
    match error:
        case ConnectionTimeout():
            said = f"{name} did not accept a connection within {connect:g} s."
            return UpstreamError(UpstreamKind.TRANSPORT, said, retryable=False)
        case TimeoutError():
            return UpstreamError(UpstreamKind.TIMEOUT, f"{name} did not answer within {wait:.3g} s.", retryable=False)
        case CertificateInvalid():
            return UpstreamError(UpstreamKind.TRANSPORT, f"{name} offered no valid TLS certificate.", retryable=False)
        case CannotConnect():
            return UpstreamError(UpstreamKind.TRANSPORT, f"{name} could not be reached.")
        case Disconnected():
            return UpstreamError(UpstreamKind.TRANSPORT, f"{name} closed the connection without an answer.")
        case BodyBroken():
            return UpstreamError(UpstreamKind.TRANSPORT, f"{name} broke off its answer.")
        case _:
            return UpstreamError(UpstreamKind.MALFORMED, f"{name} answered with something that is not HTTP.")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The provider's hint in seconds: `retry-after-ms` (OpenAI, Azure), else `Retry-After` as seconds or date."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / scale
        except ValueError:
            pass  # then it is a date, or nothing that we know
        else:
            if math.isfinite(seconds):
                return max(0.0, seconds)
            continue
        try:
            return max(0.0, (email.utils.parsedate_to_datetime(value) - now).total_seconds())
        except (ValueError, TypeError):
            continue
    return None
