"""Typed keys of what travels with an application or a request."""

from dataclasses import dataclass

from aiohttp import web

from gateway.access.client import ClientAddress, ClientResolver
from gateway.access.lockout import Lockout
from gateway.access.modes import Authenticator
from gateway.access.outcome import Rejected
from gateway.core.identity import Principal
from gateway.http.routes import Route
from gateway.http.runtime import Runtime


@dataclass(slots=True)
class Trace:
    """One request's name, on every log line and in `x-request-id`, and the monotonic time (seconds) of its start."""

    id: str
    started: float


RUNTIME = web.AppKey("runtime", Runtime)
RESOLVER = web.AppKey("resolver", ClientResolver)
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
LOCKOUT = web.AppKey("lockout", Lockout)
ROUTES = web.AppKey("routes", dict[object, Route])

TRACE = web.RequestKey("trace", Trace)
CLIENT = web.RequestKey("client", ClientAddress)
REJECTED = web.RequestKey("rejected", Rejected)
PRINCIPAL = web.RequestKey("principal", Principal)
