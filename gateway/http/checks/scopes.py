"""Checks that the principal has the route's scope."""

from collections.abc import Callable

from aiohttp import web

from gateway.core.errors import MissingScope
from gateway.http.keys import PRINCIPAL


def requires(scope: str) -> Callable[[web.Request], None]:
    """Create the check for one scope."""

    def require(request: web.Request) -> None:
        if not request[PRINCIPAL].allows(scope):
            raise MissingScope(scope)

    return require
