"""The end of a request: one RequestEnded for every observer, such as metrics and the access log."""

import time
from typing import Literal, Protocol

from aiohttp import web
from msgspec import Struct

from gateway.http.keys import TRACE, Trace
from gateway.runs.trace import ANSWERED, CANCELLED

CLIENT_LEFT = 499
"""The status that is counted when the client has left before its response began, as nginx logs it."""

RequestOutcome = Literal["completed", "refused", "failed", "cancelled"]


class RequestEnded(Struct):
    """How a request ended. `status` is its HTTP status, `seconds` its duration.

    `outcome` says what the status can't: `failed` also if a stream ended with an error, `cancelled` if the client left.
    """

    request: web.Request
    trace: Trace
    status: int
    outcome: RequestOutcome
    seconds: float


class RequestObserver(Protocol):
    """Sees the requests of one route. Its methods must neither raise nor block."""

    def began(self) -> None:
        """A request began."""

    def ended(self, ended: RequestEnded) -> None:
        """A request ended; called once for each that began."""


def request_ended(request: web.Request, response: web.StreamResponse | None) -> RequestEnded:
    """The end of this request; `response` is None if it was cancelled before it had one."""
    trace = request[TRACE]
    status = CLIENT_LEFT if response is None else response.status
    return RequestEnded(request, trace, status, _outcome(status, trace), time.monotonic() - trace.started)


def _outcome(status: int, trace: Trace) -> RequestOutcome:
    run = trace.run
    if run is not None and run.outcome is not None and run.outcome != ANSWERED:
        if run.outcome == CANCELLED:
            return "cancelled"
        return "failed" if status < 400 or status >= 500 else "refused"
    if status < 400:
        return "completed"
    if status >= 500:
        return "failed"
    return "cancelled" if status == CLIENT_LEFT else "refused"
