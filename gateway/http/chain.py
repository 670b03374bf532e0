"""The middleware chain, top to bottom. Each link is one file; order is the documentation."""

from gateway.http.middleware.authenticate import authenticate
from gateway.http.middleware.client import identify_client
from gateway.http.middleware.errors import render_errors
from gateway.http.middleware.scopes import require_scope
from gateway.http.middleware.trace import trace_request

CHAIN = (
    trace_request,  # request id, log context; adds TRACE
    render_errors,  # the only place where an exception becomes a response
    identify_client,  # trusted proxies → CLIENT, or 403; unknown paths leave here with 404 or 405
    authenticate,  # credential → outcome → 401, 429, or PRINCIPAL and on we go
    require_scope,  # the route's scope within the principal's, else 403
)
