"""Typed keys of the values in an application or a request."""

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
    """A request's id, for log lines and `x-request-id`, and the monotonic time of its start (seconds)."""

    id: str
    started: float


RUNTIME = web.AppKey("runtime", Runtime)
RESOLVER = web.AppKey("resolver", ClientResolver)
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
LOCKOUT = web.AppKey("lockout", Lockout)
DRAIN = web.AppKey("drain", Drain)
DEGRADED = web.AppKey("degraded", dict[str, Callable[[], bool]])
"""Optional parts by name, with a function that returns whether the part is failing. `/readyz` reports them."""

TRACE = web.RequestKey("trace", Trace)
CLIENT = web.RequestKey("client", ClientAddress)
REJECTED = web.RequestKey("rejected", Rejected)
PRINCIPAL = web.RequestKey("principal", Principal)
