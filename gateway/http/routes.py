"""Routes: methods, paths, handler, and the settings from which the chain is built."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.access.bearer import CredentialReader, bearer
from gateway.core.errors import GatewayError
from gateway.http.keys import CURRENT, SNAPSHOT
from gateway.metrics.catalog import OTHER
from gateway.wire.openai_chat.error_body import error_body

ErrorBody = Callable[[GatewayError], dict[str, Any]]
"""The JSON body of an error response."""


def error_status(error: GatewayError) -> int:
    """The status of an error response, as the gateway's own errors have it."""
    return error.status


def error_headers(error: GatewayError) -> Mapping[str, str]:
    """The headers of an error response, as the gateway's own errors have them."""
    return error.headers


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How one API shows errors: functions of the error that return the JSON body, the status and the headers."""

    body: ErrorBody = error_body
    status: Callable[[GatewayError], int] = error_status
    headers: Callable[[GatewayError], Mapping[str, str]] = error_headers


OWN_ERRORS = ErrorForm()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MiB = 2**20
_ANY_PATH = ("/{path:.*}",)
_PARAMETER = re.compile(r"{(\w+)(?::[^}]*)?}")
CHAT_BODY = 20 * MiB
RESPONSES_BODY = 20 * MiB
MESSAGES_BODY = 20 * MiB
EMBEDDINGS_BODY = 5 * MiB


@dataclass(frozen=True, slots=True)
class Route:
    """One route. Without a scope it needs no credential. A `public` route needs no attribution to a client either.

    It is enabled if one of `endpoints` is (keys of `gateway.http.endpoints`); without any, always.
    `credential` finds the caller's credential in the headers, `errors` is the form of errors, and `id_header` repeats
    the request's id: all as the route's clients expect. `errors_with` are other forms of errors, for requests that have
    the header.
    An `upgrade` route answers only requests that open a WebSocket; others get a 405.
    """

    methods: tuple[str, ...]
    paths: tuple[str, ...]
    handler: Handler
    scope: str | None
    public: bool = False
    endpoints: frozenset[str] = frozenset()
    credential: CredentialReader = bearer
    errors: ErrorForm = OWN_ERRORS
    errors_with: tuple[tuple[str, ErrorForm], ...] = ()
    id_header: str | None = None
    upgrade: bool = False

    @property
    def all_methods(self) -> tuple[str, ...]:
        """The methods, and `HEAD` wherever `GET` works (RFC 9110 §9.3.2)."""
        if "GET" not in self.methods or "HEAD" in self.methods or self.upgrade:
            return self.methods
        return (*self.methods, "HEAD")

    def errors_for(self, headers: Mapping[str, str]) -> ErrorForm:
        """The form of errors for a request with these headers."""
        return next((form for name, form in self.errors_with if name in headers), self.errors)

    def is_enabled(self, endpoints: frozenset[str]) -> bool:
        """Whether it is enabled where these endpoints are."""
        return not self.endpoints or not self.endpoints.isdisjoint(endpoints)


def template_of(route: Route) -> str:
    """The route's first path with the names of its parameters alone; OTHER for paths that no route has.

    Connections of WebSockets have a name of their own, because they last for hours.
    """
    if route.paths == _ANY_PATH:
        return OTHER
    template = _PARAMETER.sub(r"{\1}", route.paths[0])
    return f"{template} (WebSocket)" if route.upgrade else template


def add_routes(router: web.UrlDispatcher, routes: Iterable[Route], chained: Callable[[Route], Handler]) -> None:
    """Add the routes, enabled or not, and routes for 404 and 405. `chained` turns a route into its handler.

    aiohttp's own 404 and 405 would send `100 Continue` first, so the client would send its body for nothing.
    """
    paths: dict[str, dict[str, Route]] = {}
    for route in routes:
        for path in route.paths:
            paths.setdefault(path, {}).update(dict.fromkeys(route.all_methods, route))
    for path, by_method in paths.items():
        public = all(route.public for route in by_method.values())  # then the 405 is public too (recorded)
        answering = {method: route for method, route in by_method.items() if not route.upgrade}
        paths_of_first = next(iter(by_method.values())).paths
        wrong = chained(Route(("*",), paths_of_first, _wrong_method(answering), None, public=public))
        for method, route in by_method.items():
            handler = _if_upgrade(chained(route), wrong) if route.upgrade else chained(route)
            router.add_route(method, path, handler, expect_handler=_expect)
        router.add_route("*", path, wrong, expect_handler=_expect)
    unknown = Route(("*",), _ANY_PATH, _not_found, None)
    router.add_route("*", _ANY_PATH[0], chained(unknown), expect_handler=_expect)


def _if_upgrade(handler: Handler, other: Handler) -> Handler:
    async def upgrade(request: web.Request) -> web.StreamResponse:
        is_upgrade = request.headers.get("Upgrade", "").strip().lower() == "websocket"
        return await (handler(request) if is_upgrade else other(request))

    return upgrade


def _wrong_method(routes: Mapping[str, Route]) -> Handler:
    async def wrong_method(request: web.Request) -> web.StreamResponse:
        snapshot = request.get(SNAPSHOT)  # a public path has none, and is always enabled
        endpoints = frozenset() if snapshot is None else snapshot.endpoints
        allowed = [method for method, route in routes.items() if route.is_enabled(endpoints)]
        if not allowed:
            raise web.HTTPNotFound
        if request.method == "OPTIONS":
            policy = (snapshot or request.app[CURRENT].snapshot).cors
            if headers := policy.preflight_headers(request.headers, allowed):
                return web.Response(status=204, headers=headers)
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return wrong_method


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _expect(request: web.Request) -> web.Response | None:
    """`read_body` handles `100-continue`. Any other expectation is a 417 (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").strip().lower() == "100-continue":
        return None
    return web.Response(status=417)


def is_exact(raw_path: str) -> bool:
    """Whether the path has no escapes, or is one of the routes that accept them: model ids (recorded), session keys,
    request ids.
    """
    return "%" not in raw_path.partition("?")[0] or raw_path.startswith(_WITH_ESCAPES)


_WITH_ESCAPES = ("/v1/models/", "/api/v1/sessions/", "/api/v1/runs/")
