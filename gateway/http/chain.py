"""What every request passes around and before its handler, top to bottom; each link is a file, order is documentation.

All of it is put around the handlers when the routes are made: for each request one coroutine runs, and nothing is
looked up. The checks look at the request, add at most one key to it, and raise to refuse. They are plain functions that
return something to wait for only when they have to.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web

from gateway.http.checks.authenticate import authenticate
from gateway.http.checks.client import identify_client
from gateway.http.checks.scopes import requires
from gateway.http.errors import response_to
from gateway.http.routes import Handler, Route, is_exact
from gateway.http.trace import set_request_id

Check = Callable[[web.Request], Awaitable[None] | None]


def checks_of(route: Route) -> tuple[Check, ...]:
    """What a request for this route has to pass, in this order."""
    if route.scope is not None:
        return (
            identify_client,  # trusted proxies → CLIENT, or 403
            authenticate,  # credential → outcome → 401, 429, or PRINCIPAL and on we go
            requires(route.scope),  # within the principal's, else 403
        )
    return () if route.public else (identify_client,)


def chained(route: Route) -> Handler:
    """The route's handler in its chain, which is the only place where an exception becomes a response."""
    checks, handler = checks_of(route), route.handler

    async def answer(request: web.Request) -> web.StreamResponse:
        set_request_id(request)  # request id, log context; adds TRACE
        if request.version >= HttpVersion11 and "Host" not in request.headers:
            return web.Response(status=400)  # RFC 9112 §3.2
        try:
            if "%" in request.raw_path:
                _refuse_other_spellings(request)
            for check in checks:
                if (waiting := check(request)) is not None:
                    await waiting
            return await handler(request)
        except (Exception, asyncio.CancelledError) as error:
            response = response_to(request, error)
            if response is None:
                raise
            return response

    return answer


def _refuse_other_spellings(request: web.Request) -> None:
    if not is_exact(request.raw_path):
        identify_client(request)
        raise web.HTTPNotFound
