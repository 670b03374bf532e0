"""The route's scope must be within the principal's."""

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.errors import MissingScope
from gateway.http.keys import PRINCIPAL, ROUTES


@web.middleware
async def require_scope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises MissingScope."""
    principal = request.get(PRINCIPAL)
    if principal is not None:
        scope = request.app[ROUTES][request.match_info.handler].scope
        if scope is not None and not principal.allows(scope):
            raise MissingScope(scope)
    return await handler(request)
