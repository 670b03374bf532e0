"""`/api/v1/config` and `/api/v1/reload`: the configuration in force, and loading a changed one, for operators."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.config.reload_status import Reload, Reloads
from gateway.core.errors import ConfigurationRefused, MissingScope, Unavailable
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, RELOADS


async def get_configuration(request: web.Request) -> web.StreamResponse:
    """The generation in force, and the last result of loading a changed configuration.

    Raises MissingScope for callers who administer nothing but their own.
    """
    _require_administrator(request)
    return _json(status_of(_reloads(request)))


async def reload_configuration(request: web.Request) -> web.StreamResponse:
    """Load the configuration again, in all workers, and report as `get_configuration` does.

    Raises MissingScope like it, and ConfigurationRefused with every problem; then nothing has changed.
    """
    _require_administrator(request)
    reloads = _reloads(request)
    result = await reloads.reload("request")
    if result.status == "refused":
        raise ConfigurationRefused("The configuration is refused, the last one stays in force.", result.problems)
    return _json(status_of(reloads, result))


def _reloads(request: web.Request) -> Reloads:
    reloads = request.app[RELOADS]
    if reloads is None:
        raise Unavailable("This gateway was started without a configuration file that it could load again.")
    return reloads


def status_of(reloads: Reloads, result: Reload | None = None) -> Mapping[str, Any]:
    """The configuration in force, and the last `result` of loading a changed one."""
    status = reloads.status
    last = result or status.last
    return {
        "object": "configuration",
        "path": status.path,
        "generation": status.generation,
        "since": int(status.since),
        "watched": status.watched,
        "last_reload": last
        and {
            "at": int(last.at),
            "trigger": last.trigger,
            "status": last.status,
            "problems": list(last.problems),
            "needs_restart": list(last.needs_restart),
        },
    }


def _require_administrator(request: web.Request) -> None:
    if not request[PRINCIPAL].administers:
        raise MissingScope(Scope.ADMIN)


def _json(body: object) -> web.Response:
    return web.Response(body=dumps(body), headers={"Content-Type": JSON, "Cache-Control": "no-store"})
