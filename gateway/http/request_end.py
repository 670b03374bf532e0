"""The end of a request, for observers such as metrics and the access log."""

import time
from collections.abc import Callable
from typing import Literal

from aiohttp import web
from msgspec import Struct

from gateway.http.keys import CLIENT, PRINCIPAL, REJECTED, Trace
from gateway.observe.deferred import Deferred
from gateway.runs.attempt import ANSWERED, CANCELLED

CLIENT_LEFT = 499
"""The status that is counted when the client has left before its response began, as nginx logs it."""

RequestOutcome = Literal["completed", "refused", "failed", "cancelled"]
"""What the status can't say: `failed` also if a stream ended with an error, `cancelled` if the client left."""

_REFUSALS = (401, 403, 429)


class RequestEnd(Struct, frozen=True, gc=False):
    """A request that ended at `time` (Unix time in seconds), `seconds` after its start.

    `client` is its address. `refusal` is the kind of its credential and the reason why that was refused, None else.
    """

    trace: Trace
    method: str
    client: str
    status: int
    outcome: RequestOutcome
    seconds: float
    time: float
    refusal: tuple[str, str] | None


EndObserver = Callable[[RequestEnd], None]
"""Called once for each request that began. It must neither raise nor block."""


class RequestObservers:
    """Who sees the requests of one route: `began` their begin, the others their end, `later` a moment later."""

    def __init__(
        self,
        deferred: Deferred,
        *,
        began: tuple[Callable[[], None], ...] = (),
        at_once: tuple[Callable[[web.Request, RequestEnd], None], ...] = (),
        later: tuple[EndObserver, ...] = (),
    ) -> None:
        self._deferred = deferred
        self._began = began
        self._at_once = at_once
        self._later = later

    def began(self) -> None:
        """A request began."""
        for observe in self._began:
            observe()

    def ended(self, request: web.Request, trace: Trace, response: web.StreamResponse | None) -> None:
        """It ended; `response` is None if it was cancelled before it had one."""
        if not (self._at_once or self._later):
            return
        client = request.get(CLIENT)
        status = CLIENT_LEFT if response is None else response.status
        end = RequestEnd(
            trace,
            request.method,
            (request.remote or "unknown") if client is None else client.host,
            status,
            _outcome(status, trace),
            time.monotonic() - trace.started,
            time.time(),
            _refusal(request, status) if status in _REFUSALS and trace.run is None else None,
        )
        for observe in self._at_once:
            observe(request, end)
        if self._later:
            self._deferred.add(self._later, end)


NOBODY = RequestObservers(Deferred())
"""No observers."""


def _outcome(status: int, trace: Trace) -> RequestOutcome:
    run = trace.run
    if status < 400:
        if run is None or run.outcome is None or run.outcome == ANSWERED:
            return "completed"
        return "cancelled" if run.outcome == CANCELLED else "failed"
    if status == CLIENT_LEFT or (run is not None and run.outcome == CANCELLED):
        return "cancelled"
    return "failed" if status >= 500 else "refused"


def _refusal(request: web.Request, status: int) -> tuple[str, str] | None:
    """Of a caller without a principal; one that has it lacks a scope or has reached a limit."""
    if PRINCIPAL in request:
        return None
    rejected = request.get(REJECTED)
    credential = "none" if rejected is None or rejected.credential is None else rejected.credential
    reason = "locked" if status == 429 else "refused" if rejected is None else rejected.reason
    return credential, reason
