"""Typed keys of the values in an application or a request."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.access.lockout import Lockout
from gateway.access.outcome import Rejected
from gateway.config.reload_status import Reloads
from gateway.core.identity import Principal
from gateway.core.trace_context import TraceContext
from gateway.dispatch.snapshot import Services, Snapshot
from gateway.http.metering import Meter
from gateway.http.server.drain import Drain
from gateway.runs.trace import RunTrace
from openclaw_ratelimit import ReplicationLink


@dataclass(slots=True)
class Trace:
    """A request's id, for log lines and `x-request-id`, and the monotonic time of its start (seconds).

    `run` is the run that answers it, if any; if it is answered, it took `run_seconds`. `first_byte` is the monotonic
    time at which its stream opened, None if it has none; `complete` is the stream once its last byte was written.
    `added_headers` are headers that a step of the request adds to its response. `meter` holds its reservation under
    limits and budgets until something else takes it over. `context` is its span, None without tracing.
    """

    id: str
    started: float
    run: RunTrace | None = None
    run_seconds: float = 0.0
    first_byte: float | None = None
    complete: web.StreamResponse | None = None
    added_headers: dict[str, str] | None = None
    meter: Meter | None = None
    context: TraceContext | None = None


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
CONNECTIONS: web.AppKey[Callable[[], int]] = web.AppKey("connections")
"""Counts the open connections of clients; absent where nothing listens."""
BACKGROUND_RUNS: web.AppKey[Callable[[], int]] = web.AppKey("background_runs")
"""Counts the background runs of this process."""
LINK: web.AppKey[ReplicationLink | None] = web.AppKey("link")
"""The link to the Redis of all instances, None without one."""

TRACE = web.RequestKey("trace", Trace)
SNAPSHOT = web.RequestKey("snapshot", Snapshot)
CLIENT = web.RequestKey("client", ClientAddress)
REJECTED = web.RequestKey("rejected", Rejected)
PRINCIPAL = web.RequestKey("principal", Principal)
