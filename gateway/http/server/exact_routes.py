"""Finds the handlers of paths without parameters by one look into a dictionary, as nearly all requests need it."""

from collections.abc import Awaitable

from aiohttp import web
from aiohttp.web_urldispatcher import PlainResource, UrlMappingMatchInfo


class ExactRoutes:
    """The routes of an application by method and path. Anything else (escapes, a query, `Expect`) goes through aiohttp.

    The application has no middlewares, so handlers are called directly; `gateway.http.chain` wraps them.
    """

    def __init__(self, app: web.Application) -> None:
        self._general = app._handle  # noqa: SLF001  what aiohttp's own runner calls
        self._matches: dict[tuple[str, str], UrlMappingMatchInfo] = {}
        for resource in app.router.resources():
            if not isinstance(resource, PlainResource):
                continue
            for route in resource:
                match = UrlMappingMatchInfo({}, route)
                match.add_app(app)
                match.freeze()
                self._matches.setdefault((route.method, resource.canonical), match)
        if app.middlewares:
            raise ValueError("exact routes are not wrapped in middlewares")

    def handle(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """The response of the application."""
        match = self._matches.get((request.method, request.raw_path))
        if match is None or "Expect" in request.headers:
            return self._general(request)
        request._match_info = match  # noqa: SLF001  as aiohttp does it
        return match.handler(request)
