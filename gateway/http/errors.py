"""Renders exceptions as responses."""

import asyncio
from functools import cache

import structlog
from aiohttp import web

from gateway.core.errors import (
    GatewayError,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
    Unauthorized,
    UnsupportedCoding,
)
from gateway.core.jsonio import dumps
from gateway.http.keys import DRAIN, TRACE
from gateway.http.refusals import REFUSAL_LOG, is_refusal
from gateway.http.routes import ErrorBody, Route
from gateway.http.whole_response import WholeResponse

log = structlog.get_logger(__name__)

JSON = "application/json; charset=utf-8"


def response_to(request: web.Request, error: BaseException, route: Route) -> web.StreamResponse | None:
    """The error response for an exception of a handler, in the form of its route. An unexpected exception is logged and
    becomes a 500.

    Returns None for a cancellation that must propagate. Raises CancelledError if the client has disconnected. What is
    cancelled after its stream is complete has this as its response: the client that closes then has all of it.
    """
    match error:
        case GatewayError():
            return _response(request, error, route)
        case web.HTTPMethodNotAllowed():
            allow = ", ".join(sorted(error.allowed_methods))
            return web.Response(status=405, text="Method Not Allowed", headers={"Allow": allow})
        case web.HTTPException():
            return web.Response(status=error.status, text=error.reason)
        case asyncio.CancelledError() if (complete := request[TRACE].complete) is not None:
            return complete
        case asyncio.CancelledError():
            refusal = request.app[DRAIN].refusal(request)
            return None if refusal is None else _response(request, refusal, route)
        case ConnectionError() if request.transport is None or request.transport.is_closing():
            log.debug("The client disconnected", method=request.method, path=request.path)
            raise asyncio.CancelledError from None  # as in a moment by aiohttp, which would log this error
        case _:
            log.error("Request failed", method=request.method, path=request.path, exc_info=error)
            body = dumps(route.errors_for(request.headers).body(GatewayError("internal error")))
            return WholeResponse(body, {"Content-Type": JSON}, status=500)


def _response(request: web.Request, error: GatewayError, route: Route) -> web.StreamResponse:
    if is_refusal(request, error):
        request.app[REFUSAL_LOG].write(request, error)
    elif error.status >= 500:
        log.warning("Request refused", status=error.status, type=error.type, reason=error.log_message)
    form = route.errors_for(request.headers)
    headers = {"Content-Type": JSON, **form.headers(error)}
    body = _unauthorized(form.body) if type(error) is Unauthorized else dumps(form.body(error))
    response = WholeResponse(body, headers, status=form.status(error))
    if isinstance(error, (PayloadTooLarge, RequestTimeout, Overloaded, UnsupportedCoding)):
        response.force_close()  # instead of reading the remaining body
    return response


@cache
def _unauthorized(error_body: ErrorBody) -> bytes:
    """The body of a 401, which is the same for every reason, in one of the forms of errors."""
    return dumps(error_body(Unauthorized()))
