"""Attributes the request to a client address, or refuses it.

Attribution comes before routing, in every auth mode and for every path except the probes, as in OpenClaw.
"""

from aiohttp import web

from gateway.http.keys import CLIENT, SNAPSHOT


def identify_client(request: web.Request) -> None:
    """Add CLIENT. Raises ProxyAttributionRequired."""
    request[CLIENT] = request[SNAPSHOT].clients.resolve(request.remote, request.headers)
