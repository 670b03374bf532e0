"""Binds the request to the configuration in force, which it keeps to its end."""

from aiohttp import web

from gateway.http.keys import CURRENT, SNAPSHOT


def bind_snapshot(request: web.Request) -> None:
    """Add SNAPSHOT."""
    request[SNAPSHOT] = request.app[CURRENT].snapshot
