"""The route's scope must be within the principal's."""

from aiohttp import web

from gateway.core.errors import MissingScope
from gateway.http.keys import PRINCIPAL, ROUTES


def require_scope(request: web.Request) -> None:
    """Raises MissingScope."""
    scope = request.app[ROUTES][request.match_info.handler].scope
    if scope is not None and not request[PRINCIPAL].allows(scope):
        raise MissingScope(scope)
