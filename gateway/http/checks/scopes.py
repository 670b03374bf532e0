"""The route's scope must be within the principal's."""

from collections.abc import Callable

from aiohttp import web

from gateway.core.errors import MissingScope
from gateway.http.keys import PRINCIPAL


def requires(scope: str) -> Callable[[web.Request], None]:
    """The check for one scope."""

    def require(request: web.Request) -> None:
        if not request[PRINCIPAL].allows(scope):
            raise MissingScope(scope)

    return require
