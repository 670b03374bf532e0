"""Typed keys of what travels with an application or a request."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.access.client import ClientAddress, ClientResolver
from gateway.access.lockout import Lockout
from gateway.access.modes import Authenticator
from gateway.access.outcome import Rejected
from gateway.core.identity import Principal
from gateway.http.runtime import Runtime
from gateway.http.server.drain import Drain


@dataclass(slots=True)
class Trace:
    """One request's name, on every log line and in `x-request-id`, and the monotonic time (seconds) of its start."""

    id: str
    started: float


RUNTIME = web.AppKey("runtime", Runtime)
RESOLVER = web.AppKey("resolver", ClientResolver)
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
LOCKOUT = web.AppKey("lockout", Lockout)
DRAIN = web.AppKey("drain", Drain)
DEGRADED = web.AppKey("degraded", dict[str, Callable[[], bool]])
"""Parts that requests can do without: name → whether it is out of order just now. Readiness tells them."""

TRACE = web.RequestKey("trace", Trace)
CLIENT = web.RequestKey("client", ClientAddress)
REJECTED = web.RequestKey("rejected", Rejected)
PRINCIPAL = web.RequestKey("principal", Principal)
