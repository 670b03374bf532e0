"""The composition root: configuration → web application. Only this module knows all parts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aiohttp import web

from gateway.access.key_registry import KeyRegistry
from gateway.alerts.webhook import Webhook
from gateway.collectors import collectors_of
from gateway.config.reload_status import Reloads
from gateway.config.root import Config
from gateway.cooldown_sync import CooldownSync
from gateway.core.errors import Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.generations import Generations
from gateway.http.answers.background import BACKGROUND, BackgroundPolicy, BackgroundRuns
from gateway.http.answers.connection_memory import CONNECTION_MEMORIES, ConnectionMemories
from gateway.http.answers.event_budget import EventLimits
from gateway.http.budget_alerts import BUDGET_ALERTS, BudgetAlerts
from gateway.http.budget_book import stored_budgets
from gateway.http.chain import chained
from gateway.http.endpoints.metrics import SCRAPE
from gateway.http.endpoints.responses_socket import CONNECTION_LIMIT, SOCKET_TURN
from gateway.http.keys import (
    BACKGROUND_RUNS,
    CURRENT,
    DEGRADED,
    DRAIN,
    LOCKOUT,
    RELOADS,
    SERVICES,
)
from gateway.http.large_bodies import LARGE_BODIES, LargeBodies
from gateway.http.refusals import REFUSAL_LOG, RefusalLog
from gateway.http.response_headers import RESPONSE_HEADERS, ResponseHeaders
from gateway.http.routes import Handler, Route, add_routes
from gateway.http.server.drain import Drain
from gateway.key_sync import KeySync
from gateway.lockouts import lockout_from, releases_from
from gateway.monitoring import Monitoring, OtherProcesses
from gateway.operating import add_doctor, add_status
from gateway.parts import RENEW, Parts, open_parts
from gateway.routes import EVENTS, ROUTES
from gateway.runs.configured import cooldown_policy, cooldowns_from
from gateway.runs.cooldowns import Cooldowns
from gateway.shared import link_from, open_link
from gateway.state.configured import Stores
from gateway.state.sessions.store import SessionStore
from openclaw_ratelimit import Quota, ReplicationLink

_MAX_WINDOWS = 50_000  # of limits and budgets: several for each client key
GENERATIONS = web.AppKey("generations", Generations)


@dataclass(frozen=True, slots=True)
class _Resident:
    """What lives as long as the process, whatever its configurations.

    `link` is None without Redis, `keys` where clients have no keys. Each snapshot has its own policies over `quota`.
    """

    link: ReplicationLink | None
    quota: Quota
    cooldowns: Cooldowns
    keys: KeyRegistry | None
    webhook: Webhook
    monitoring: Monitoring


def create_app(
    config: Config,
    env: Mapping[str, str],
    state: Path,
    *,
    renew: float = RENEW,
    background: BackgroundPolicy | None = None,
    reloads: Reloads | None = None,
    others: OtherProcesses | None = None,
) -> web.Application:
    """The application of a configuration. It opens its resources at start and closes them at the end.

    `renew` are the seconds between two renewals of a conversation's lease; `background` says how background runs are
    logged; `reloads` loads changed configurations, None where there is no file to load. `others` are the other workers,
    whose metrics are shown together with those of this process.
    """
    resident = _resident(config, env, others)
    link = resident.link
    app = web.Application()
    app[LOCKOUT], *followers = lockout_from(config.gateway.auth, link, sleep=asyncio.sleep)
    app[REFUSAL_LOG] = RefusalLog(asyncio.get_running_loop().time)
    app[DRAIN] = Drain()
    app[RELOADS] = reloads
    app[BUDGET_ALERTS] = BudgetAlerts(resident.webhook.post)
    app[LARGE_BODIES] = LargeBodies(config.gateway.http.max_body_bytes_in_flight)
    app[DEGRADED] = {} if link is None else {"redis": lambda: not link.available}
    app[SCRAPE] = resident.monitoring.scrape
    add_status(app, link, reloads, resident.monitoring)
    _serve_routes(app, resident.monitoring)

    async def runtime(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            parts = await _open(app, stack, resident, followers, config=config, state=state, renew=renew)
            app[GENERATIONS] = generations = Generations(parts)
            stack.push_async_callback(generations.close)
            generations.on_commit += [
                *followers,
                partial(_adjust, app, resident.cooldowns),
                partial(_aim, resident.webhook),
            ]
            await generations.prepare(config, env)
            generations.commit()
            app[CURRENT] = generations.current
            add_doctor(app, generations, reloads, state)
            _watch_health(app, stack, parts.services.stores)
            _run_in_background(app, stack, background, config.gateway.state.max_response_bytes)
            resident.monitoring.collectors += collectors_of(app, link, resident.cooldowns)
            await stack.enter_async_context(resident.monitoring.running())
            yield

    app.cleanup_ctx.append(runtime)
    return app


def _resident(config: Config, env: Mapping[str, str], others: OtherProcesses | None) -> _Resident:
    gateway = config.gateway
    link = link_from(gateway.redis)
    quota = Quota((), link=link, capacity=_MAX_WINDOWS)
    cooldowns = cooldowns_from(gateway.retry)
    if link is not None:
        CooldownSync(link, cooldowns)
    keys = KeyRegistry() if gateway.auth.mode in ("token", "password") else None
    if link is not None and keys is not None and gateway.state.backend == "auto":
        KeySync(link, keys)
    return _Resident(link, quota, cooldowns, keys, Webhook(), Monitoring(config, env, others))


async def _open(
    app: web.Application,
    stack: AsyncExitStack,
    resident: _Resident,
    followers: list[Callable[[Config], None]],
    *,
    config: Config,
    state: Path,
    renew: float,
) -> Parts:
    """Open the resources of the process, and go on with what an earlier one has stored.

    Appends to `followers` what has to adjust to a new configuration.
    """
    link, monitoring = resident.link, resident.monitoring
    stack.callback(app[LARGE_BODIES].close)
    stack.callback(monitoring.deferred.drain)
    await stack.enter_async_context(monitoring.exporting())
    await stack.enter_async_context(resident.webhook)
    if link is not None:
        await stack.enter_async_context(open_link(link))
        releases, keep_releases = releases_from(app[LOCKOUT], config, state, link)
        await stack.enter_async_context(releases.running())
        followers.append(keep_releases)
    parts = await stack.enter_async_context(
        open_parts(
            config,
            state,
            cooldowns=resident.cooldowns,
            quota=resident.quota,
            keys=resident.keys,
            renew=renew,
            registry=monitoring.registry,
            traces=monitoring.traces,
            deferred=monitoring.deferred,
        )
    )
    app[SERVICES] = parts.services
    await _restore(stack, parts.services.stores, resident.keys, resident.quota if link is None else None)
    return parts


def _serve_routes(app: web.Application, monitoring: Monitoring) -> None:
    """Every route with its chain, and the headers of every response."""

    def chain(route: Route) -> Handler:
        return chained(route, monitoring.observers(route))

    add_routes(app.router, ROUTES, chain)
    app[SOCKET_TURN] = chain(EVENTS)
    app[CONNECTION_MEMORIES], app[CONNECTION_LIMIT] = ConnectionMemories(), 3600.0
    app[RESPONSE_HEADERS] = ResponseHeaders(app[DRAIN])
    app.on_response_prepare.append(app[RESPONSE_HEADERS].add)


def _adjust(app: web.Application, cooldowns: Cooldowns, config: Config) -> None:
    """Adjust what outlives configurations to the one that has come in force."""
    http = config.gateway.http
    app[LARGE_BODIES].resize(http.max_body_bytes_in_flight)
    hsts = http.security_headers.strict_transport_security
    app[RESPONSE_HEADERS].configure({"Strict-Transport-Security": hsts} if hsts else {})
    cooldowns.policy = cooldown_policy(config.gateway.retry)
    _resize(app[SERVICES].stores.sessions, config.session.max_bytes)


def _resize(sessions: SessionStore, max_bytes: int) -> None:
    sessions.policy = replace(sessions.policy, max_bytes=max_bytes)


def _aim(webhook: Webhook, config: Config) -> None:
    alerts = config.gateway.budget_alerts
    url, secret = (None if one is None else one.get_secret_value() for one in (alerts.url, alerts.secret))
    webhook.configure(url, secret)


async def _restore(stack: AsyncExitStack, stores: Stores, keys: KeyRegistry | None, quota: Quota | None) -> None:
    """Go on with what an earlier process has stored. `quota` is None where Redis counts."""
    if quota is not None and stores.budget_windows is not None:
        await stack.enter_async_context(stored_budgets(quota, stores.budget_windows))
    if keys is not None:
        await stack.enter_async_context(keys.serving(stores.keys))


def _watch_health(app: web.Application, stack: AsyncExitStack, stores: Stores) -> None:
    current, degraded = app[CURRENT], app[DEGRADED]
    degraded["store"] = lambda: stores.health.problem is not None
    degraded["mcp"] = lambda: (tools := current.snapshot.tools) is not None and tools.degraded
    if stores.inspect is not None:
        inspecting = asyncio.create_task(_inspected(stores.inspect), name="inspect the store")
        stack.push_async_callback(_ended, inspecting)


def _run_in_background(
    app: web.Application, stack: AsyncExitStack, policy: BackgroundPolicy | None, max_bytes: int
) -> None:
    app[BACKGROUND] = runs = BackgroundRuns(app[SERVICES].stores.events, policy, EventLimits.of(max_bytes))
    stack.push_async_callback(runs.close)
    app[BACKGROUND_RUNS] = runs.count
    app[DRAIN].background_jobs.append(runs.count)


async def _inspected(inspect: Callable[[], Awaitable[None]]) -> None:
    """Look at the store once. Its health reports a problem; a start does not wait for a store that does not answer."""
    try:
        await inspect()
    except Unavailable as error:
        drop_tracebacks(error)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
