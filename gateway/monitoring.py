"""Composes what watches the gateway: metrics with their own listener, and the access log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from gateway.access.host import HostPolicy
from gateway.config.metrics import MetricsConfig
from gateway.config.root import Config
from gateway.core.names import ModelRef
from gateway.dispatch.snapshot import Snapshot
from gateway.http import instance_metrics as instance
from gateway.http.access_log import AccessLog
from gateway.http.endpoints.metrics import SCRAPE, metrics
from gateway.http.request_end import RequestObserver
from gateway.http.request_metrics import RequestMetrics
from gateway.http.routes import Handler, Route, template_of
from gateway.http.server.listener import listen
from gateway.metrics.catalog import DROPPED, FAMILIES
from gateway.metrics.loop_delay import LoopDelay
from gateway.metrics.registry import Registry
from gateway.metrics.text import rendered
from gateway.observe.log import shows_debug, shows_info, write_info
from gateway.runs.candidates import Candidate

log = structlog.get_logger(__name__)

_HOSTS = {"loopback": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104  what `lan` means


class Monitoring:
    """The metrics and the access log of one process. `registry` is None if metrics are disabled.

    `collectors` set the gauges that are looked up at a scrape.
    """

    def __init__(self, config: Config) -> None:
        self._config = config.gateway.metrics
        self._logs_requests = config.logging.requests and shows_info()
        self.registry = Registry() if self._config.enabled else None
        self.collectors: list[instance.Collector] = [instance.build, instance.process]

    def observers(self, route: Route) -> tuple[RequestObserver, ...]:
        """Who sees the requests of this route."""
        name, observers = template_of(route), list[RequestObserver]()
        if self.registry is not None:
            observers.append(RequestMetrics(self.registry, name))
        if self._logs_requests and (shows_debug() or not route.public):
            observers.append(AccessLog(name, write_info))
        return tuple(observers)

    async def scrape(self) -> bytes:
        """The exposition text of now; empty if metrics are disabled."""
        registry = self.registry
        if registry is None:
            return b""
        for collect in self.collectors:
            collect(registry)
        registry.counter(DROPPED).value = registry.dropped.value
        return rendered(FAMILIES, registry.snapshot())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure the event loop, and serve the listener of its own if one is configured. Raises OSError."""
        if self.registry is None:
            yield
            return
        delay = LoopDelay()
        self.collectors.append(instance.loop_delay(delay))
        delay.start()
        try:
            async with _listening(self._config, self.scrape):
                yield
        finally:
            delay.stop()


@asynccontextmanager
async def _listening(config: MetricsConfig, scrape: Callable[[], Awaitable[bytes]]) -> AsyncIterator[None]:
    if config.port is None:
        yield
        return
    app = web.Application(middlewares=[_only_this_host] if config.bind == "loopback" else [])
    app[SCRAPE] = scrape
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        host = _HOSTS[config.bind]
        try:
            listening = listen(host, config.port)
        except OSError as error:
            raise OSError(f"gateway.metrics.port: can't listen on {host}:{config.port}: {error.strerror}") from error
        await web.SockSite(runner, listening).start()
        log.info("Metrics are served", host=host, port=config.port)
        yield
    finally:
        await runner.cleanup()


@web.middleware
async def _only_this_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No web page reads the metrics through DNS rebinding: see `gateway.access.host`."""
    if not _THIS_HOST.allows(request.headers):
        raise web.HTTPForbidden
    return await handler(request)


_THIS_HOST = HostPolicy()


def candidates_of(snapshot: Snapshot) -> Iterator[Candidate]:
    """The models of all agents, with each of their keys."""
    refs: dict[ModelRef, None] = dict.fromkeys(ref for agent in snapshot.directory.agents for ref in agent.candidates)
    for ref in refs:
        provider = snapshot.runs.providers.get(ref.provider)
        if provider is not None:
            row, model = provider.row_for(ref.model), provider.model(ref.model)
            for one in (row, *row.others):
                yield Candidate(ref, one, model)
