"""The end of a request, for observers such as metrics and the access log."""

import time
from typing import Literal, Protocol

from aiohttp import web

from gateway.http.keys import Trace
from gateway.runs.attempt import ANSWERED, CANCELLED

CLIENT_LEFT = 499
"""The status that is counted when the client has left before its response began, as nginx logs it."""

RequestOutcome = Literal["completed", "refused", "failed", "cancelled"]
"""What the status can't say: `failed` also if a stream ended with an error, `cancelled` if the client left."""


class RequestObserver(Protocol):
    """Sees the requests of one route. Its methods must neither raise nor block."""

    def began(self) -> None:
        """A request began."""

    def ended(self, request: web.Request, trace: Trace, status: int, outcome: RequestOutcome, seconds: float) -> None:
        """A request ended after so many seconds; called once for each that began."""


def end_request(
    observers: tuple[RequestObserver, ...], request: web.Request, trace: Trace, response: web.StreamResponse | None
) -> None:
    """Tell the observers of the end; `response` is None if the request was cancelled before it had one."""
    seconds = time.monotonic() - trace.started
    status = CLIENT_LEFT if response is None else response.status
    outcome = _outcome(status, trace)
    for observer in observers:
        observer.ended(request, trace, status, outcome, seconds)


def _outcome(status: int, trace: Trace) -> RequestOutcome:
    run = trace.run
    if status < 400:
        if run is None or run.outcome is None or run.outcome == ANSWERED:
            return "completed"
        return "cancelled" if run.outcome == CANCELLED else "failed"
    if status == CLIENT_LEFT or (run is not None and run.outcome == CANCELLED):
        return "cancelled"
    return "failed" if status >= 500 else "refused"
