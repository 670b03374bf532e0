"""Typed keys of the values in an application or a request."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.access.lockout import Lockout
from gateway.access.outcome import Rejected
from gateway.config.reload_status import Reloads
from gateway.core.identity import Principal
from gateway.dispatch.snapshot import Services, Snapshot
from gateway.http.server.drain import Drain


@dataclass(slots=True)
class Trace:
    """A request's id, for log lines and `x-request-id`, and the monotonic time of its start (seconds)."""

    id: str
    started: float


@dataclass(slots=True)
class Current:
    """The snapshot that new requests begin with. `document` is the OpenAPI document of its routes, as JSON."""

    snapshot: Snapshot
    document: bytes = b""


SERVICES = web.AppKey("services", Services)
CURRENT = web.AppKey("current", Current)
LOCKOUT = web.AppKey("lockout", Lockout)
DRAIN = web.AppKey("drain", Drain)
RELOADS: web.AppKey[Reloads | None] = web.AppKey("reloads")
DEGRADED = web.AppKey("degraded", dict[str, Callable[[], bool]])
"""Optional parts by name, with a function that returns whether the part is failing. `/readyz` reports them."""

TRACE = web.RequestKey("trace", Trace)
ADDED_HEADERS = web.RequestKey("added_headers", dict[str, str])
"""Headers that a step of the request adds to its response."""
SNAPSHOT = web.RequestKey("snapshot", Snapshot)
CLIENT = web.RequestKey("client", ClientAddress)
REJECTED = web.RequestKey("rejected", Rejected)
PRINCIPAL = web.RequestKey("principal", Principal)
