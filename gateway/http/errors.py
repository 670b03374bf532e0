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
from gateway.http.keys import DRAIN
from gateway.http.refusals import REFUSAL_LOG, is_refusal
from gateway.http.routes import ErrorBody
from gateway.http.whole_response import WholeResponse

log = structlog.get_logger(__name__)

JSON = "application/json; charset=utf-8"


def response_to(request: web.Request, error: BaseException, error_body: ErrorBody) -> web.StreamResponse | None:
    """The error response for an exception of a handler, in the form of its route. An unexpected exception is logged and
    becomes a 500.

    Returns None for a cancellation that must propagate, and if the client has disconnected.
    """
    match error:
        case GatewayError():
            return _response(request, error, error_body)
        case web.HTTPMethodNotAllowed():
            allow = ", ".join(sorted(error.allowed_methods))
            return web.Response(status=405, text="Method Not Allowed", headers={"Allow": allow})
        case web.HTTPException():
            return web.Response(status=error.status, text=error.reason)
        case asyncio.CancelledError():
            refusal = request.app[DRAIN].refusal(request)
            return None if refusal is None else _response(request, refusal, error_body)
        case ConnectionError() if request.transport is None or request.transport.is_closing():
            log.debug("The client disconnected", method=request.method, path=request.path)
            return None
        case _:
            log.error("Request failed", method=request.method, path=request.path, exc_info=error)
            body = dumps(error_body(GatewayError("internal error")))
            return WholeResponse(body, {"Content-Type": JSON}, status=500)


@cache
def _unauthorized(error_body: ErrorBody) -> bytes:
    """Always the same, and frequent under an attack."""
    return dumps(error_body(Unauthorized()))


def _response(request: web.Request, error: GatewayError, error_body: ErrorBody) -> web.StreamResponse:
    if is_refusal(request, error):
        request.app[REFUSAL_LOG].write(request, error)
    elif error.status >= 500:
        log.warning("Request refused", status=error.status, type=error.type, reason=error.message)
    headers = {"Content-Type": JSON, **error.headers}
    body = _unauthorized(error_body) if type(error) is Unauthorized else dumps(error_body(error))
    response = WholeResponse(body, headers, status=error.status)
    if isinstance(error, (PayloadTooLarge, RequestTimeout, Overloaded, UnsupportedCoding)):
        response.force_close()  # instead of reading the remaining body
    return response
