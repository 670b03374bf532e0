"""A provider's failure → one UpstreamError: statuses and transport exceptions here, error objects in the wire format.

Each text says once which provider and address it was and what happened. No secret of the provider's row leaves in a
message: keys and header values are cut out literally, other credentials by shape.
"""

import email.utils
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.observe.redact import HIDDEN, redact_text
from gateway.upstream.provider import MIN_SECRET, Provider
from gateway.upstream.quotes import without_quotes
from gateway.upstream.transport.errors import (
    BodyBroken,
    CannotConnect,
    ConnectionTimeout,
    Disconnected,
    NameUnknown,
    NoFileDescriptors,
    StaleConnection,
    TlsFailed,
    TransportError,
)
from gateway.wire.contract import UpstreamFormat
from gateway.wire.error_reason import beginning, reason_in
from gateway.wire.failures import error_object

_MAX_MESSAGE = 2000
_MAX_RETRY_AFTER = 86_400.0  # seconds; a longer hint is no use to a client
_MILLISECONDS = re.compile(r"[0-9]{13}")  # of a date in this century
_MAX_NAME = 200  # characters of `code` and `param`

_NO_ENDPOINT = re.compile(
    r"The provider answered with status 404\b|(page )?not found\.?$|(invalid|unknown)( request)? url\b|cannot post\b"
    r"|no route\b|unexpected endpoint\b",
    re.IGNORECASE,
)
"""How servers say that they have no such path; a model that they don't have, they name."""
_EFFORT = re.compile("reasoning|effort|think", re.IGNORECASE)
_REFUSED = re.compile("support|permitted|allowed|unknown|unrecogni[sz]ed|unexpected|extra|invalid", re.IGNORECASE)
_MAX_REASON = 300  # characters; what follows may quote the prompt

# The provider's own words are about the request, and clients match on them.
_VERBATIM = frozenset({
    UpstreamKind.INVALID_REQUEST, UpstreamKind.TOO_LARGE, UpstreamKind.NOT_FOUND, UpstreamKind.CONTEXT_OVERFLOW,
    UpstreamKind.CONTENT_FILTER, UpstreamKind.UNSUPPORTED,
})  # fmt: skip


def from_status(wire: UpstreamFormat, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The failure that a status other than 200 reports; the wire format reads its body."""
    try:
        payload = loads(body)
    except InvalidJSON:
        payload = None
    now = datetime.now(UTC)
    hint = retry_after(headers, now)
    if hint is None and status == HTTPStatus.TOO_MANY_REQUESTS:
        hint = _hint_behind(payload, now)
    error = wire.error(status, payload, hint)
    unexplained = wire.error(status, None, hint).message
    if error.message == unexplained and (reason := reason_in(payload) or beginning(body)):
        error.message = f"{unexplained.removesuffix('.')}: {reason}"
    error.final = headers.get("x-should-retry") == "false"  # of Anthropic and OpenAI
    return error


def _hint_behind(payload: Any, now: datetime) -> float | None:
    """The hint in the headers of the provider behind OpenRouter, or when its own limit resets (Unix milliseconds)."""
    metadata = error_object(payload).get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    if not isinstance(headers, dict):
        return None
    headers = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    hint = retry_after(headers, now)
    reset = headers.get("x-ratelimit-reset", "")
    if hint is None and _MILLISECONDS.fullmatch(reset):
        hint = min(max(0.0, int(reset) / 1000 - now.timestamp()), _MAX_RETRY_AFTER)
    return hint


def presentable(provider: Provider, error: UpstreamError, prompt: Iterable[bytes], path: str = "") -> UpstreamError:
    """The same failure as the client may read it: which provider it was, no secret, bounded length. Call it once.
    `path` is the endpoint below the base URL, if it is not that of answers.

    What its message quotes of the texts of the `prompt` is for the client only, and so is what the wire format has
    left out of `without_quotes`.
    """
    loggable = error.without_quotes
    endpoint = path or f"for {provider.wire}"
    error.message = _shown(provider, error.kind, error.message, endpoint)
    error.args = (error.message,)
    loggable = error.message if loggable is None else _shown(provider, error.kind, loggable, endpoint)
    error.without_quotes = without_quotes(loggable, prompt)
    error.code = redacted(provider, error.code)[:_MAX_NAME] if error.code else error.code
    error.param = redacted(provider, error.param)[:_MAX_NAME] if error.param else error.param
    return error


def with_advice(provider: Provider, error: UpstreamError, turn: Turn) -> UpstreamError:
    """The failure, with what to change where the provider refuses an effort that the configuration may have set."""
    reason = error.message[:_MAX_REASON]
    if (
        error.kind is UpstreamKind.INVALID_REQUEST
        and turn.options.effort
        and _EFFORT.search(reason)
        and _REFUSED.search(reason)
    ):
        advice = f"compat.supportsReasoningEffort: false of the model in models.providers.{provider.id}"
        error.message = f"{error.message.rstrip(' .')}. With {advice}, the gateway does not send it."
    return error


def _without_endpoint(provider: Provider, message: str, endpoint: str) -> str:
    reason = message.removeprefix("The provider answered with ").rstrip(".")
    return f"{named(provider)} has no endpoint {endpoint} there ({reason}); {_check_address(provider)}."


def _check_address(provider: Provider) -> str:
    return f"check models.providers.{provider.id}.baseUrl"


def _shown(provider: Provider, kind: UpstreamKind, message: str, endpoint: str) -> str:
    message = redacted(provider, message)
    if kind in (UpstreamKind.AUTH, UpstreamKind.BILLING):
        message = f"{named(provider)} refused {_credential(provider)}: {message}"
    elif kind is UpstreamKind.NOT_FOUND and _NO_ENDPOINT.match(message):
        message = _without_endpoint(provider, message, endpoint)
    elif kind not in _VERBATIM:
        message = _attributed(provider, message)
    return message[:_MAX_MESSAGE]


def _credential(provider: Provider) -> str:
    if provider.api_key is None and not provider.headers and provider.signer is None:
        return f"a call without a key (set models.providers.{provider.id}.apiKey)"
    return "the gateway's credential"


def redacted(provider: Provider, text: str) -> str:
    """The text without any secret of the provider's row, and without what looks like one."""
    for secret in (*provider.secrets, provider.api_key):
        if secret and len(secret) >= MIN_SECRET:
            text = text.replace(secret, HIDDEN)
    return redact_text(text)


def named(provider: Provider) -> str:
    """How messages name a provider: its id and where it is."""
    return f"The provider '{provider.id}' ({provider.address})"


def _attributed(provider: Provider, message: str) -> str:
    """The message with the provider's name and address in it, once."""
    for start, link in (("The provider ", " "), ("The provider's ", ": its ")):
        if message.startswith(start):
            return f"{named(provider)}{link}{message.removeprefix(start)}"
    return f"{named(provider)} failed: {message}"


def from_exception(provider: Provider, error: TransportError, connect: float) -> UpstreamError:
    """The failure behind an exception of the transport; `connect` is the limit for connecting in seconds."""
    kind, predicate = _cause(error, connect)
    return UpstreamError(kind, f"{named(provider)} {predicate}.")


def _cause(error: TransportError, connect: float) -> tuple[UpstreamKind, str]:
    match error:
        case ConnectionTimeout():
            return UpstreamKind.CONNECT_TIMEOUT, f"{error} within {connect:g} s"
        case NameUnknown():
            return UpstreamKind.CONNECT, f"could not be found: its host name can't be resolved ({error})"
        case CannotConnect():
            return UpstreamKind.CONNECT, str(error)
        case TlsFailed():
            return UpstreamKind.TLS, f"could not be reached securely: {error}"
        case NoFileDescriptors():
            return UpstreamKind.LOCAL, f"could not be asked: the gateway can't open another connection ({error})"
        case StaleConnection():
            return UpstreamKind.STALE, "closed an idle connection when it was used again"
        case Disconnected():
            return UpstreamKind.TRANSPORT, "closed the connection without an answer"
        case BodyBroken():
            return UpstreamKind.TRANSPORT, "broke off its answer"
        case _:
            return UpstreamKind.MALFORMED, "answered with something that is not HTTP"


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The provider's hint in seconds: `retry-after-ms` (OpenAI, Azure), else `Retry-After` as seconds or date.

    A date is compared with the response's own `Date`, because the two clocks may differ.
    """
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
                return min(max(0.0, seconds), _MAX_RETRY_AFTER)
            continue
        until = _date(value)
        if until is not None:
            seconds = (until - (_date(headers.get("date", "")) or now)).total_seconds()
            return min(max(0.0, seconds), _MAX_RETRY_AFTER)
    return None


def _date(value: str) -> datetime | None:
    """An HTTP date; None for anything else, also for one without a time zone."""
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return None if date.tzinfo is None else date
