"""Composes what watches the gateway: metrics with their own listener, the access log, and traces."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

import structlog
from aiohttp import web

from gateway.access.host import HostPolicy
from gateway.config.metrics import MetricsConfig
from gateway.config.root import Config
from gateway.core.errors import Unavailable
from gateway.http import instance_metrics as instance
from gateway.http.access_log import AccessLog
from gateway.http.endpoints.metrics import SCRAPE, metrics
from gateway.http.request_end import EndObserver, RequestObservers
from gateway.http.request_metrics import RequestMetrics
from gateway.http.request_spans import RequestSpans
from gateway.http.response_headers import SECURITY_HEADERS
from gateway.http.routes import Handler, Route, template_of
from gateway.http.server.connections import Runner
from gateway.http.server.listener import listen
from gateway.metrics.catalog import DROPPED, FAMILIES, IN_FLIGHT, TRACE_SPANS
from gateway.metrics.loop_delay import LoopDelay
from gateway.metrics.registry import Registry, Snapshot
from gateway.metrics.text import rendered
from gateway.observe.deferred import Deferred
from gateway.observe.log import shows_debug, shows_info, write_info
from gateway.tracing import traces_from

log = structlog.get_logger(__name__)

_HOSTS = {"loopback": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means


Source = Callable[[], Snapshot]
"""Returns the metrics of this process."""


class OtherProcesses(Protocol):
    """The further processes of one gateway, whose metrics are shown together."""

    def sharing(self, own: Source) -> AbstractAsyncContextManager[None]:
        """Share the metrics of this process with them."""
        ...

    async def total(self, own: Snapshot) -> Snapshot:
        """The metrics of all. Raises TimeoutError, ConnectionError or EOFError if nobody answers."""
        ...


class Monitoring:
    """The metrics, the access log and the traces of one process. `registry` is None if metrics are disabled, `traces`
    if those are. `env` is the environment; `others` are the further processes of this gateway. `deferred` calls
    what counts and logs requests.

    `collectors` set the gauges that are looked up at a scrape.
    """

    def __init__(self, config: Config, env: Mapping[str, str], others: OtherProcesses | None = None) -> None:
        self._others = others
        self.deferred = Deferred()
        self._config = config.gateway.metrics
        self._logs_requests = config.logging.requests
        self.registry = Registry() if self._config.enabled else None
        self.traces = traces_from(config, env)
        self.collectors: list[instance.Collector] = [instance.build, instance.process]

    def observers(self, route: Route) -> RequestObservers:
        """Who sees the requests of this route."""
        name, metrics, later = template_of(route), None, list[EndObserver]()
        if self.registry is not None:
            metrics = RequestMetrics(self.registry, name)
            later.append(metrics.ended)
        if self._logs_requests:
            later.append(AccessLog(name, write_info, _shows_probes if route.public else shows_info).write)
        spans = None if self.traces is None or route.scope is None else RequestSpans(self.traces, name)
        return RequestObservers(
            self.deferred,
            began=() if metrics is None else (metrics.began,),
            at_once=() if spans is None else (spans.ended,),
            later=tuple(later),
        )

    async def scrape(self) -> bytes:
        """The exposition text of now, of all processes. Raises Unavailable if the others can't be asked."""
        snapshot = self.snapshot()
        if self._others is not None:
            try:
                snapshot = await self._others.total(snapshot)
            except (TimeoutError, ConnectionError, EOFError) as error:
                raise Unavailable("The parent of this worker does not send the metrics of all workers.") from error
        return rendered(FAMILIES, snapshot)

    def snapshot(self) -> Snapshot:
        """The metrics of this process; none if they are disabled."""
        self.deferred.drain()
        registry = self.registry
        if registry is None:
            return {}
        for collect in self.collectors:
            collect(registry)
        registry.counter(DROPPED).value = registry.dropped.value
        return registry.snapshot()

    def in_flight(self) -> int | None:
        """The requests that this process answers now; None if metrics are disabled."""
        if self.registry is None:
            return None
        self.deferred.drain()
        gauges = self.registry.snapshot().get(IN_FLIGHT.name, {})
        return int(sum(value for value in gauges.values() if isinstance(value, float | int)))

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[None]:
        """Export traces, those of the last requests included if the block ends after them."""
        if self.traces is None:
            yield
            return
        exporter = self.traces.exporter
        exporter.start()
        self.collectors.append(instance.counted(TRACE_SPANS, lambda: exporter.sent, "sent"))
        self.collectors.append(instance.counted(TRACE_SPANS, lambda: exporter.lost, "lost"))
        try:
            yield
        finally:
            await exporter.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure the event loop, join the other processes, and serve the listener of its own if one is configured.

        Raises OSError.
        """
        if self.registry is None:
            yield
            return
        async with AsyncExitStack() as stack:
            delay = LoopDelay()
            self.collectors.append(instance.loop_delay(delay))
            delay.start()
            stack.callback(delay.stop)
            if self._others is not None:
                await stack.enter_async_context(self._others.sharing(self.snapshot))
            shared = self._others is not None
            await stack.enter_async_context(_listening(self._config, self.scrape, shared=shared))
            yield


@asynccontextmanager
async def _listening(
    config: MetricsConfig, scrape: Callable[[], Awaitable[bytes]], *, shared: bool
) -> AsyncIterator[None]:
    """The listener of its own; `shared` with the other workers, of which any answers for all."""
    if config.port is None:
        yield
        return
    app = web.Application()
    app[SCRAPE] = scrape
    app.router.add_get("/metrics", _for_this_host(metrics) if config.bind == "loopback" else metrics)
    app.on_response_prepare.append(_add_headers)
    runner = Runner(app)  # anybody may connect here: malformed requests leave no traceback in the log
    await runner.setup()
    try:
        host = _HOSTS[config.bind]
        try:
            listening = listen(host, config.port, shared=shared)
        except OSError as error:
            raise OSError(f"gateway.metrics.port: can't listen on {host}:{config.port}: {error.strerror}") from error
        await runner.listen(listening)
        log.info("Metrics are served", host=host, port=config.port)
        yield
    finally:
        await runner.cleanup()


def _shows_probes() -> bool:
    return shows_info() and shows_debug()


def _for_this_host(handler: Handler) -> Handler:
    """No web page reads the metrics through DNS rebinding: see `gateway.access.host`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if not _THIS_HOST.allows(request.headers):
            raise web.HTTPForbidden
        return await handler(request)

    return answer


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    del response.headers["Server"]


_THIS_HOST = HostPolicy()
