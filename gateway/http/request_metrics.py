"""Counts the requests of each route for `/metrics`."""

from gateway.http.request_end import RequestEnd
from gateway.metrics import catalog
from gateway.metrics.registry import Counter, Registry


class RequestMetrics:
    """Counts the requests of one route. Its series are made at start, or when they are first needed."""

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self._registry = registry
        self._endpoint = endpoint
        self._requests: dict[tuple[int, str], Counter] = {}
        self._refusals: dict[tuple[str, str], Counter] = {}
        self._all: _AllRequests | None = None
        self._with_run: _WithRun | None = None

    def began(self) -> None:
        """A request began."""
        if self._all is None:
            self._all = _AllRequests(self._registry, self._endpoint)
        self._all.in_flight.value += 1

    def ended(self, end: RequestEnd) -> None:
        """A request ended."""
        trace, status, outcome, seconds = end.trace, end.status, end.outcome, end.seconds
        if self._all is not None:
            self._all.in_flight.value -= 1
            self._all.seconds.observe(seconds)
        key = status, outcome
        counter = self._requests.get(key)
        if counter is None:
            status_class = f"{status // 100}xx"
            counter = self._registry.counter(catalog.REQUESTS, self._endpoint, status_class, outcome)
            self._requests[key] = counter
        counter.value += 1
        if trace.run is not None:
            if self._with_run is None:
                self._with_run = _WithRun(self._registry, self._endpoint)
            self._with_run.first_byte.observe(seconds if trace.first_byte is None else trace.first_byte - trace.started)
            if outcome == "completed":  # else the end of the run is not known
                self._with_run.overhead.observe(seconds - trace.run_seconds)
        elif end.refusal is not None:
            counter = self._refusals.get(end.refusal)
            if counter is None:
                counter = self._refusals[end.refusal] = self._registry.counter(catalog.AUTH_FAILURES, *end.refusal)
            counter.value += 1


class _AllRequests:
    """The series of all requests of a route. A route that nobody uses has none."""

    __slots__ = ("in_flight", "seconds")

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self.in_flight = registry.gauge(catalog.IN_FLIGHT, endpoint)
        self.seconds = registry.histogram(catalog.REQUEST_SECONDS, endpoint)


class _WithRun:
    """The series of requests that ran an agent."""

    __slots__ = ("first_byte", "overhead")

    def __init__(self, registry: Registry, endpoint: str) -> None:
        self.first_byte = registry.histogram(catalog.FIRST_BYTE_SECONDS, endpoint)
        self.overhead = registry.histogram(catalog.OVERHEAD_SECONDS, endpoint)
