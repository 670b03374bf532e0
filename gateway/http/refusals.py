"""One log line about each caller that is not let in, or not now: who, why, and never a secret that was sent."""

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
_LONGEST = 80  # characters of a path or header name, which are the caller's own text
_MOST = 8  # names of headers


def is_refusal(request: web.Request, error: GatewayError) -> bool:
    """Whether `error` keeps a caller out, so that strangers can cause it at will."""
    if isinstance(error, _REFUSALS):
        return True
    return isinstance(error, Unavailable) and CLIENT in request and PRINCIPAL not in request


class RefusalLog:
    """Writes the lines, throttled by client and reason; `clock` gives seconds.

    The address is the one that failures are counted under, in full.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._throttle = Throttle(clock)

    def note(self, request: web.Request, error: GatewayError) -> None:
        """The caller of `request` is about to be told `error`, which `is_refusal`."""
        client = request.get(CLIENT)
        reason = _reason(request, error)
        suppressed = self._throttle.admit((request.remote if client is None else client.key, reason))
        if suppressed is None:
            return
        said: dict[str, object] = {"status": error.status, "type": error.type, "reason": reason}
        if client is None:
            said |= {"peer": request.remote or "unknown", "evidence": _evidence(request)}
        else:
            said["client"] = client.host
            if client.forwarded:
                said["proxy"] = client.proxy
        principal = request.get(PRINCIPAL)
        if principal is not None and principal.name is not None:
            said["user"] = principal.name
        if suppressed:
            said["suppressed"] = suppressed
        log.warning("caller refused", **said, method=request.method, path=request.path[:_LONGEST])


def _reason(request: web.Request, error: GatewayError) -> str:
    if isinstance(error, Unauthorized):
        rejected = request.get(REJECTED)
        return error.message if rejected is None else rejected.why
    return error.why if isinstance(error, (ProxyAttributionRequired, RateLimited)) else error.message


def _evidence(request: web.Request) -> list[str]:
    return [name[:_LONGEST] for name in request.headers if is_evidence(name)][:_MOST]


REFUSAL_LOG = web.AppKey("refusal_log", RefusalLog)
