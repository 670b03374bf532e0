"""A request of an agent's answer → the Call that `gateway.dispatch` takes."""

from functools import partial

from aiohttp import web

from gateway.core.session_key import HEADER, Endpoint
from gateway.dispatch.dispatch import Call
from gateway.http.headers import run_options
from gateway.http.keys import CLIENT, PRINCIPAL, SERVICES, SNAPSHOT, TRACE
from gateway.http.quota import admitted_run, admitted_side_run, identity, quota_for


def call_of(request: web.Request, body: bytes, endpoint: Endpoint) -> Call:
    """The caller, and the options in its headers. Raises MissingScope or BadRequest (see `run_options`)."""
    principal = request[PRINCIPAL]
    options = run_options(request.headers, principal, body)
    snapshot = request[SNAPSHOT]
    quota = quota_for(snapshot.quota, principal)
    services, trace = request.app[SERVICES], request[TRACE]
    if services.traces is not None:
        trace.context = services.traces.begin(request.headers)
    return Call(
        services,
        snapshot,
        trace.id,
        principal,
        identity(principal, request[CLIENT]),
        options,
        endpoint,
        request.headers.get(HEADER),
        request.path,
        None if quota is None else partial(admitted_run, request, quota),
        None if quota is None else partial(admitted_side_run, request, quota),
        trace.context,
    )
