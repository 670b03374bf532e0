"""What a scrape of the metrics looks up in the parts of the application."""

from aiohttp import web

from gateway.dispatch.candidates import candidates_of
from gateway.http.answers.background import BACKGROUND
from gateway.http.budget_alerts import BUDGET_ALERTS
from gateway.http.budget_report import configured_budgets
from gateway.http.instance_metrics import Collector, budgets, circuits, counted, degraded, number
from gateway.http.keys import CONNECTIONS, CURRENT, DEGRADED, DRAIN, LOCKOUT, RELOADS, SERVICES
from gateway.metrics import catalog
from gateway.runs.cooldowns import Cooldowns
from openclaw_ratelimit import ReplicationLink


def collectors_of(app: web.Application, link: ReplicationLink | None, cooldowns: Cooldowns) -> list[Collector]:
    """The collectors of an application whose parts are open. `link` is None without Redis."""
    parts = app[DEGRADED]
    collectors = [
        degraded(parts),
        number(catalog.LOCKS, lambda: len(app[LOCKOUT].locked())),
        number(catalog.DRAINING, lambda: app[DRAIN].started),
        number(catalog.BACKGROUND_RUNS, app[BACKGROUND].count),
        budgets(app[BUDGET_ALERTS], lambda: configured_budgets(app[CURRENT].snapshot)),
        circuits(cooldowns, lambda: candidates_of(app[CURRENT].snapshot)),
    ]
    if (reloads := app[RELOADS]) is not None:
        collectors.append(number(catalog.GENERATION, lambda: reloads.status.generation))
        collectors.append(
            number(catalog.RELOAD_ACCEPTED, lambda: (last := reloads.status.last) is None or last.status != "refused")
        )
    if (ledger := app[SERVICES].ledger) is not None:
        collectors.append(counted(catalog.LEDGER_ROWS, lambda: ledger.written, "written"))
        collectors.append(counted(catalog.LEDGER_ROWS, lambda: ledger.lost, "lost"))
        collectors.append(number(catalog.LEDGER_PENDING, lambda: ledger.pending))
    if connections := app.get(CONNECTIONS):
        collectors.append(number(catalog.CONNECTIONS, connections))
    if link is not None:
        collectors.append(number(catalog.REDIS_UP, lambda: link.available))
        collectors.append(number(catalog.REDIS_SECONDS, lambda: link.latency))
    return collectors
