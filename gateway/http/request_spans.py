"""The span of each authenticated request. Clients without a valid credential get none, so that they can't displace
those of others.
"""

from collections.abc import Iterator

from aiohttp import web
from msgspec import Struct

from gateway.core.trace_context import TraceContext
from gateway.http.keys import PRINCIPAL
from gateway.http.request_end import RequestEnd, RequestOutcome
from gateway.traces import names
from gateway.traces.span import NANOSECONDS, Span
from gateway.traces.traces import Traces


class RequestSpan(Struct, frozen=True, gc=False):
    """A request that has ended at `time` (Unix time in seconds), after `seconds`."""

    time: float
    seconds: float
    context: TraceContext
    method: str
    route: str
    id: str
    status: int
    outcome: RequestOutcome
    error: str | None

    @property
    def size(self) -> int:
        """See Record."""
        return 1

    @property
    def content_bytes(self) -> int:
        """See Record."""
        return 0

    def spans(self) -> Iterator[Span]:
        """See Record."""
        attributes: dict[str, str | int | float | bool] = {
            names.METHOD: self.method,
            names.ROUTE: self.route,
            names.STATUS: self.status,
            names.REQUEST_ID: self.id,
            names.REQUEST_OUTCOME: self.outcome,
        }
        if self.error is not None:
            attributes[names.ERROR] = self.error
        yield Span(
            f"{self.method} {self.route}",
            "server",
            self.context,
            round((self.time - self.seconds) * NANOSECONDS),
            round(self.time * NANOSECONDS),
            attributes,
            self.outcome == "failed",
        )


class RequestSpans:
    """Exports the requests of one route, `route` its template."""

    def __init__(self, traces: Traces, route: str) -> None:
        self._traces = traces
        self._route = route

    def ended(self, request: web.Request, end: RequestEnd) -> None:
        """A request ended."""
        trace, status, outcome = end.trace, end.status, end.outcome
        if PRINCIPAL not in request:
            return
        context = trace.context or self._traces.begin(request.headers)
        if not context.sampled:
            return
        error = None
        if outcome == "failed":  # a stream that broke has the status of its beginning
            error = str(status) if status >= 500 or trace.run is None else trace.run.outcome
        record = RequestSpan(
            self._traces.clock(),
            end.seconds,
            context,
            end.method,
            self._route,
            trace.id,
            status,
            outcome,
            error,
        )
        self._traces.put(record)
