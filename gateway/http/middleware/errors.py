"""The only place where an exception becomes a response."""

import asyncio

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway.core.errors import GatewayError, PayloadTooLarge, RequestTimeout, Unauthorized
from gateway.core.jsonio import dumps
from gateway.http.keys import DRAIN
from gateway.http.refusals import REFUSAL_LOG, is_refusal

log = structlog.get_logger(__name__)

JSON = "application/json; charset=utf-8"
_UNAUTHORIZED = dumps(Unauthorized().payload())  # always the same, and the one that attackers ask for
_INTERNAL = {"error": {"message": "internal error", "type": "api_error", "param": None, "code": None}}


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what leaves the handlers into the API's own error shape; what nobody foresaw is logged and told as 500."""
    if request.version >= HttpVersion11 and "Host" not in request.headers:
        return web.Response(status=400)  # RFC 9112 §3.2
    try:
        return await handler(request)
    except GatewayError as error:
        return _response(request, error)
    except web.HTTPMethodNotAllowed as error:
        allow = ", ".join(sorted(error.allowed_methods))
        return web.Response(status=405, text="Method Not Allowed", headers={"Allow": allow})
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.reason)
    except asyncio.CancelledError:
        refusal = request.app[DRAIN].refusal(request)
        if refusal is None:
            raise
        return _response(request, refusal)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return web.Response(status=500, body=dumps(_INTERNAL), headers={"Content-Type": JSON})


def _response(request: web.Request, error: GatewayError) -> web.Response:
    if is_refusal(request, error):
        request.app[REFUSAL_LOG].note(request, error)
    elif error.status >= 500:
        log.warning("request refused", status=error.status, type=error.type, reason=error.message)
    headers = {"Content-Type": JSON, **error.headers}
    body = _UNAUTHORIZED if type(error) is Unauthorized else dumps(error.payload())
    response = web.Response(status=error.status, body=body, headers=headers)
    if isinstance(error, (PayloadTooLarge, RequestTimeout)):
        response.force_close()  # the rest of the body is not worth reading
    return response
