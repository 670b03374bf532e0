"""The composition root: configuration → web application. Only this module knows all parts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from gateway.access.lockout import Lockout
from gateway.access.secret_strength import needs_budget
from gateway.config.auth import AuthConfig
from gateway.config.gateway import GatewayConfig
from gateway.config.root import Config
from gateway.cooldown_sync import CooldownSync
from gateway.core.errors import Unavailable
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.core.tracebacks import drop_tracebacks
from gateway.http.answers.background import BACKGROUND, BackgroundPolicy, BackgroundRuns
from gateway.http.answers.event_budget import EventLimits
from gateway.http.answers.response_recorder import responses_error_body
from gateway.http.chain import chained, endings_of
from gateway.http.endpoints.chat_completions import chat_completions
from gateway.http.endpoints.compact_response import compact_response
from gateway.http.endpoints.embeddings import embeddings
from gateway.http.endpoints.health import live, ready, started
from gateway.http.endpoints.input_tokens import input_tokens
from gateway.http.endpoints.locks import list_locks, release_lock
from gateway.http.endpoints.metrics import SCRAPE, metrics
from gateway.http.endpoints.models import get_model, list_models
from gateway.http.endpoints.openapi import DOCUMENT, openapi
from gateway.http.endpoints.responses import responses
from gateway.http.endpoints.runs import get_run
from gateway.http.endpoints.sessions import delete_session, export_session, get_session, list_sessions
from gateway.http.endpoints.stored_response import cancel_response, delete_response, get_response, list_input_items
from gateway.http.instance_metrics import Collector, circuits, degraded, number
from gateway.http.keys import CONNECTIONS, CURRENT, DEGRADED, DRAIN, LOCKOUT, SERVICES, Current
from gateway.http.large_bodies import LARGE_BODIES, LargeBodies
from gateway.http.openapi import document
from gateway.http.quota_policies import policies_from
from gateway.http.refusals import REFUSAL_LOG, RefusalLog
from gateway.http.response_headers import RESPONSE_HEADERS, ResponseHeaders
from gateway.http.routes import Route, add_routes
from gateway.http.server.drain import Drain
from gateway.metrics import catalog
from gateway.monitoring import Monitoring, OtherProcesses, candidates_of
from gateway.provision import RENEW, cooldowns_from, provisioned
from gateway.shared import link_from, open_link
from openclaw_ratelimit import (
    BudgetPolicy,
    DelayPolicy,
    FailureDelay,
    FailureLimiter,
    LockoutPolicy,
    Quota,
    ReplicationLink,
)

_PROBE = ("GET", "HEAD")
_API_VERSION = "1"  # not the version of the program, which unauthenticated clients need not know


def create_app(
    config: Config,
    env: Mapping[str, str],
    state: Path,
    *,
    renew: float = RENEW,
    background: BackgroundPolicy | None = None,
    others: OtherProcesses | None = None,
) -> web.Application:
    """The application of one configuration. It opens its resources at start and closes them at the end.

    `renew` are the seconds between two renewals of a conversation's lease; `background` says how background runs are
    logged. `others` are the other workers, whose metrics are shown together with those of this process.
    """
    gateway = config.gateway
    link = link_from(gateway.redis)
    quota = _quota(gateway, link)
    cooldowns = cooldowns_from(gateway.retry)
    if link is not None:
        CooldownSync(link, cooldowns)
    app = web.Application()
    app[LOCKOUT] = _lockout(gateway.auth, link)
    app[REFUSAL_LOG] = RefusalLog(asyncio.get_running_loop().time)
    app[DRAIN] = Drain()
    app[LARGE_BODIES] = bodies = LargeBodies(gateway.http.max_body_bytes_in_flight)
    app[DEGRADED] = {} if link is None else {"redis": lambda: not link.available}
    routes = routes_for(config)
    monitoring = Monitoring(config, others)
    app[SCRAPE] = monitoring.scrape
    endings = endings_of(limits=quota is not None)
    add_routes(app.router, routes, lambda route: chained(route, endings, monitoring.observers(route)))
    app[DOCUMENT] = document_of(routes)
    hsts = gateway.http.security_headers.strict_transport_security
    app[RESPONSE_HEADERS] = ResponseHeaders({"Strict-Transport-Security": hsts} if hsts else {}, app[DRAIN])
    app.on_response_prepare.append(app[RESPONSE_HEADERS].add)

    async def runtime(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(bodies.close)
            if link is not None:
                await stack.enter_async_context(open_link(link))
            services, snapshot = await stack.enter_async_context(
                provisioned(config, env, state, cooldowns, renew=renew, registry=monitoring.registry)
            )
            app[SERVICES], app[CURRENT] = replace(services, quota=quota), Current(snapshot)
            stores = services.stores
            app[DEGRADED]["store"] = lambda: stores.health.problem is not None
            if stores.inspect is not None:
                inspecting = asyncio.create_task(_inspected(stores.inspect), name="inspect the store")
                stack.push_async_callback(_ended, inspecting)
            if (tools := services.tools) is not None:
                app[DEGRADED]["mcp"] = lambda: tools.degraded
            app[BACKGROUND] = BackgroundRuns(
                services.stores.events, background, EventLimits.of(gateway.state.max_response_bytes)
            )
            stack.push_async_callback(app[BACKGROUND].close)
            app[DRAIN].background_jobs.append(app[BACKGROUND].count)
            monitoring.collectors += _collectors(app, link)
            monitoring.collectors.append(circuits(cooldowns, lambda: candidates_of(app[CURRENT].snapshot)))
            await stack.enter_async_context(monitoring.running())
            yield

    app.cleanup_ctx.append(runtime)
    return app


def routes_for(config: Config) -> tuple[Route, ...]:
    """The enabled routes. A disabled endpoint is a plain 404 (recorded)."""
    endpoints = config.gateway.http.endpoints
    routes = [
        Route(_PROBE, ("/health", "/healthz"), live, None, public=True),
        Route(_PROBE, ("/startup", "/startupz"), started, None, public=True),
        Route(_PROBE, ("/ready", "/readyz"), ready, None, public=True),
        Route(("GET",), ("/openapi.json",), openapi, None, public=True),
    ]
    if config.gateway.metrics.enabled:
        routes.append(Route(("GET",), ("/metrics", "/api/diagnostics/prometheus"), metrics, Scope.READ))
    if endpoints.chat_completions.enabled:
        routes.append(Route(("POST",), ("/v1/chat/completions",), chat_completions, Scope.WRITE))
    if endpoints.responses.enabled:
        routes += [
            Route(("POST",), ("/v1/responses",), responses, Scope.WRITE, error_body=responses_error_body),
            Route(("POST",), ("/v1/responses/compact",), compact_response, Scope.WRITE),
            Route(("POST",), ("/v1/responses/input_tokens",), input_tokens, Scope.WRITE),
            Route(("GET",), ("/v1/responses/{id:[^/]+}",), get_response, Scope.READ),
            Route(("DELETE",), ("/v1/responses/{id:[^/]+}",), delete_response, Scope.WRITE),
            Route(("GET",), ("/v1/responses/{id:[^/]+}/input_items",), list_input_items, Scope.READ),
            Route(("POST",), ("/v1/responses/{id:[^/]+}/cancel",), cancel_response, Scope.WRITE),
        ]
    if endpoints.chat_completions.enabled or endpoints.responses.enabled:
        routes += [
            Route(("GET",), ("/v1/models",), list_models, Scope.READ),
            Route(("GET",), ("/v1/models/{id:.*}",), get_model, Scope.READ),
            Route(("POST",), ("/v1/embeddings",), embeddings, Scope.WRITE),
            Route(("GET",), ("/api/v1/runs/{id:.+}",), get_run, Scope.READ),
            Route(("GET",), ("/api/v1/locks",), list_locks, Scope.READ),
            Route(("DELETE",), ("/api/v1/locks",), release_lock, Scope.ADMIN),
            Route(("GET",), ("/api/v1/sessions",), list_sessions, Scope.READ),
            Route(("GET",), ("/api/v1/sessions/{key:[^/]+}",), get_session, Scope.READ),
            Route(("GET",), ("/api/v1/sessions/{key:[^/]+}/export",), export_session, Scope.READ),
            Route(("DELETE",), ("/api/v1/sessions/{key:[^/]+}",), delete_session, Scope.ADMIN),
        ]
    return tuple(routes)


@lru_cache(maxsize=8)  # half of what it costs to build an application; the routes are the same after a reload
def document_of(routes: tuple[Route, ...]) -> bytes:
    """The OpenAPI document of these routes, as JSON."""
    return dumps(document(routes, _API_VERSION))


def _quota(config: GatewayConfig, link: ReplicationLink | None) -> Quota | None:
    """None without limits, so that requests then do no extra work."""
    if not config.limits:
        return None
    return Quota(policies_from(config.limits), link=link)


def _lockout(auth: AuthConfig, link: ReplicationLink | None) -> Lockout:
    config = auth.rate_limit
    policy = LockoutPolicy(config.max_attempts, config.window_ms / 1000, config.lockout_ms / 1000)
    limiter = FailureLimiter(
        policy,
        budget=BudgetPolicy(config.global_per_minute) if needs_budget(auth) else None,
        link=link,
        kind="token" if auth.mode == "token" else "password",  # the mode's only class of credential
        while_away=config.failure_mode,
    )
    delay = FailureDelay(DelayPolicy(window=policy.window)) if config.exempt_loopback else None
    return Lockout(limiter, sleep=asyncio.sleep, delay=delay)


def _collectors(app: web.Application, link: ReplicationLink | None) -> list[Collector]:
    """What a scrape looks up in the parts of the application."""
    parts = app[DEGRADED]
    collectors = [
        degraded(parts),
        number(catalog.LOCKS, lambda: len(app[LOCKOUT].locked())),
        number(catalog.DRAINING, lambda: app[DRAIN].started),
        number(catalog.BACKGROUND_RUNS, app[BACKGROUND].count),
        number(catalog.GENERATION, lambda: 1),
    ]
    if connections := app.get(CONNECTIONS):
        collectors.append(number(catalog.CONNECTIONS, connections))
    if link is not None:
        collectors.append(number(catalog.REDIS_UP, lambda: link.available))
        collectors.append(number(catalog.REDIS_SECONDS, lambda: link.latency))
    return collectors


async def _inspected(inspect: Callable[[], Awaitable[None]]) -> None:
    """Look at the store once. Its health reports a problem; a start does not wait for a store that does not answer."""
    try:
        await inspect()
    except Unavailable as error:
        drop_tracebacks(error)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
