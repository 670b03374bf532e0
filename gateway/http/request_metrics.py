"""Counts the requests of each route for `/metrics`."""

from gateway.http.keys import PRINCIPAL, REJECTED
from gateway.http.request_end import RequestEnded
from gateway.metrics import catalog
from gateway.metrics.registry import Counter, Registry


class RequestMetrics:
    """An observer of the requests of one route. Its series are made at start, or when they are first needed."""

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self._registry = registry
        self._endpoint = endpoint
        self._requests: dict[tuple[int, str], Counter] = {}
        self._all: _AllRequests | None = None
        self._with_run: _WithRun | None = None

    def began(self) -> None:
        """See RequestObserver."""
        if self._all is None:
            self._all = _AllRequests(self._registry, self._endpoint)
        self._all.in_flight.value += 1

    def ended(self, ended: RequestEnded) -> None:
        """See RequestObserver."""
        if self._all is not None:
            self._all.in_flight.value -= 1
            self._all.seconds.observe(ended.seconds)
        key = ended.status // 100, ended.outcome
        counter = self._requests.get(key)
        if counter is None:
            counter = self._requests[key] = self._registry.counter(
                catalog.REQUESTS, self._endpoint, f"{key[0]}xx", ended.outcome
            )
        counter.value += 1
        if ended.trace.run is not None:
            if self._with_run is None:
                self._with_run = _WithRun(self._registry, self._endpoint)
            self._with_run.count(ended)
        elif ended.status in (401, 403, 429):
            self._count_refusal(ended)

    def _count_refusal(self, ended: RequestEnded) -> None:
        """A caller without a principal was refused; with one, it lacks a scope or has reached a limit."""
        rejected = ended.request.get(REJECTED)
        if PRINCIPAL in ended.request:
            return
        credential = "none" if rejected is None or rejected.credential is None else rejected.credential
        reason = "locked" if ended.status == 429 else "refused" if rejected is None else rejected.reason
        self._registry.counter(catalog.AUTH_FAILURES, credential, reason).add()


class _AllRequests:
    """The series of all requests of a route. A route that nobody uses has none."""

    __slots__ = ("in_flight", "seconds")

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self.in_flight = registry.gauge(catalog.IN_FLIGHT, endpoint)
        self.seconds = registry.histogram(catalog.REQUEST_SECONDS, endpoint)


class _WithRun:
    """The series of requests that ran an agent."""

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self._first_byte = registry.histogram(catalog.FIRST_BYTE_SECONDS, endpoint)
        self._overhead = registry.histogram(catalog.OVERHEAD_SECONDS, endpoint)

    def count(self, ended: RequestEnded) -> None:
        """Count one request."""
        trace = ended.trace
        self._first_byte.observe(ended.seconds if trace.first_byte is None else trace.first_byte - trace.started)
        if ended.outcome == "completed":  # else the end of the run is not known
            self._overhead.observe(max(0.0, ended.seconds - trace.run_seconds))
