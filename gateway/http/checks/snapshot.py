"""Binds the request to the configuration in force, which it keeps to its end, and refuses what that does not serve."""

from collections.abc import Callable

from aiohttp import web

from gateway.core.errors import WrongHost
from gateway.http.checks.client import identify_client
from gateway.http.keys import CURRENT, SNAPSHOT


def bind_snapshot(request: web.Request) -> None:
    """Add SNAPSHOT. Raises WrongHost for a `Host` that is not in `gateway.http.allowedHosts`."""
    request[SNAPSHOT] = snapshot = request.app[CURRENT].snapshot
    if snapshot.hosts is not None and not snapshot.hosts.allows(request.headers):
        raise WrongHost


def binds(endpoints: frozenset[str]) -> Callable[[web.Request], None]:
    """`bind_snapshot` that also raises HTTPNotFound unless one of these endpoints is enabled (recorded)."""
    if not endpoints:
        return bind_snapshot

    def bind(request: web.Request) -> None:
        bind_snapshot(request)
        if endpoints.isdisjoint(request[SNAPSHOT].endpoints):
            identify_client(request)  # before routing
            raise web.HTTPNotFound

    return bind
