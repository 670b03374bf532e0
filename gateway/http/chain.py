"""The chain around every handler, from top to bottom. Each check is a file; the order here is the order at run time.

The chain wraps the handlers when the routes are created, so a request runs one coroutine and looks nothing up. A check
reads the request, adds at most one key to it, and raises to refuse it. Checks are plain functions that return an
awaitable only if they must wait.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.core.tracebacks import drop_tracebacks
from gateway.http.checks.authenticate import authenticates
from gateway.http.checks.client import identify_client
from gateway.http.checks.framing import is_well_formed
from gateway.http.checks.scopes import requires
from gateway.http.checks.snapshot import bind_snapshot, binds
from gateway.http.errors import response_to
from gateway.http.keys import CURRENT, SNAPSHOT, Trace
from gateway.http.quota import settle
from gateway.http.request_end import NOBODY, RequestObservers
from gateway.http.response_headers import add_headers
from gateway.http.routes import Handler, Route, is_exact
from gateway.http.trace import set_request_id

Check = Callable[[web.Request], Awaitable[None] | None]
Ending = Callable[[Trace], Awaitable[None] | None]

ENDINGS: tuple[Ending, ...] = (settle,)  # its meter → the tokens that were not used are free again
"""What follows the handler, in order, in every ending of a request."""


def checks_of(route: Route) -> tuple[Check, ...]:
    """The checks of this route, in order."""
    if route.scope is not None:
        return (
            binds(route.endpoints),  # the configuration in force → SNAPSHOT, or 404 if it disables the route
            identify_client,  # trusted proxies → CLIENT, or 403
            authenticates(route.credential),  # credential → outcome → PRINCIPAL, or 401 or 429
            requires(route.scope),  # the principal has the scope, or 403
        )
    return () if route.public else (bind_snapshot, identify_client)


def chained(route: Route, observers: RequestObservers = NOBODY) -> Handler:
    """The route's handler with its chain. Exceptions become responses only here. `observers` see every request."""
    checks, handler, id_header = checks_of(route), route.handler, route.id_header
    binds_snapshot = bool(checks)

    async def answer(request: web.Request) -> web.StreamResponse:
        trace = set_request_id(request, id_header)  # request id, log context; adds TRACE
        observers.began()
        response: web.StreamResponse | None = None
        try:
            if not is_well_formed(request):
                response = _malformed()
                return response
            if "Origin" in request.headers or "%" in request.raw_path:
                _look_closer(request)
            for check in checks:
                if (waiting := check(request)) is not None:
                    await waiting
            response = await handler(request)
        except (Exception, asyncio.CancelledError) as error:
            response = response_to(request, error, route)
            if response is None:
                raise
            drop_tracebacks(error)
        finally:
            try:
                for end in ENDINGS:
                    if (waiting := end(trace)) is not None:
                        await waiting
            finally:
                trace.complete = None  # the stream holds the request, and that its trace
                if binds_snapshot and SNAPSHOT in request:
                    del request[SNAPSHOT]  # aiohttp holds the request of an idle connection, and with it this
                observers.ended(request, trace, response)
        return response

    return answer


def _malformed() -> web.Response:
    response = web.Response(status=400)
    response.force_close()
    return response


def _look_closer(request: web.Request) -> None:
    """What few requests need: headers for a web page, and the refusal of paths with escapes."""
    if "Origin" in request.headers:
        add_headers(request, request.app[CURRENT].snapshot.cors.response_headers(request.headers))
    if not is_exact(request.raw_path):
        bind_snapshot(request)
        identify_client(request)
        raise web.HTTPNotFound
