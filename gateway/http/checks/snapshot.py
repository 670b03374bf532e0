"""Binds the request to the configuration in force, which it keeps to its end."""

from collections.abc import Callable

from aiohttp import web

from gateway.http.checks.client import identify_client
from gateway.http.keys import CURRENT, SNAPSHOT


def bind_snapshot(request: web.Request) -> None:
    """Add SNAPSHOT."""
    request[SNAPSHOT] = request.app[CURRENT].snapshot


def binds(endpoints: frozenset[str]) -> Callable[[web.Request], None]:
    """A check that adds SNAPSHOT and raises HTTPNotFound unless one of these endpoints is enabled (recorded)."""
    if not endpoints:
        return bind_snapshot

    def bind(request: web.Request) -> None:
        request[SNAPSHOT] = snapshot = request.app[CURRENT].snapshot
        if endpoints.isdisjoint(snapshot.endpoints):
            identify_client(request)  # before routing
            raise web.HTTPNotFound

    return bind
