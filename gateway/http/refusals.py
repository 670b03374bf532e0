"""One log line for each refused caller: its address and the reason, never a credential that it sent."""

from collections.abc import Callable

import structlog
from aiohttp import web

from gateway.access.client import is_evidence
from gateway.core.errors import (
    Forbidden,
    GatewayError,
    ProxyAttributionRequired,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from gateway.http.keys import CLIENT, PRINCIPAL, REJECTED
from gateway.observe.throttle import Throttle

log = structlog.get_logger(__name__)

_REFUSALS = (Unauthorized, RateLimited, Forbidden)
_MAX_TEXT_CHARS = 80  # of a path or header name, which the client controls
_MAX_HEADER_NAMES = 8


def is_refusal(request: web.Request, error: GatewayError) -> bool:
    """Whether `error` refuses a caller. Unauthenticated clients can cause it at any rate."""
    if isinstance(error, _REFUSALS):
        return True
    return isinstance(error, Unavailable) and CLIENT in request and PRINCIPAL not in request


class RefusalLog:
    """Writes the lines, throttled by client and reason. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._throttle = Throttle(clock)

    def write(self, request: web.Request, error: GatewayError) -> None:
        """Log the refusal of `request` by `error`, for which `is_refusal` is True."""
        client = request.get(CLIENT)
        reason = _reason(request, error)
        suppressed = self._throttle.admit((request.remote if client is None else client.key, reason))
        if suppressed is None:
            return
        fields: dict[str, object] = {"status": error.status, "type": error.type, "reason": reason}
        if client is None:
            fields |= {"peer": request.remote or "unknown", "evidence": _evidence(request)}
        else:
            fields["client"] = client.host
            if client.forwarded:
                fields["proxy"] = client.proxy
        principal = request.get(PRINCIPAL)
        if principal is not None and principal.name is not None:
            fields["user"] = principal.name
        if suppressed:
            fields["suppressed"] = suppressed
        log.warning("Caller refused", **fields, method=request.method, path=request.path[:_MAX_TEXT_CHARS])


def _reason(request: web.Request, error: GatewayError) -> str:
    if isinstance(error, Unauthorized):
        rejected = request.get(REJECTED)
        return error.message if rejected is None else rejected.why
    return error.why if isinstance(error, (ProxyAttributionRequired, RateLimited)) else error.message


def _evidence(request: web.Request) -> list[str]:
    return [name[:_MAX_TEXT_CHARS] for name in request.headers if is_evidence(name)][:_MAX_HEADER_NAMES]


REFUSAL_LOG = web.AppKey("refusal_log", RefusalLog)
