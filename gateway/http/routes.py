"""What a route is: its method, path and handler, and the policy that the chain reads from nowhere else."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MiB = 2**20
CHAT_BODY = 20 * MiB
RESPONSES_BODY = 20 * MiB
EMBEDDINGS_BODY = 5 * MiB


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `scope` None means public: no credential, no attribution is asked for."""

    methods: tuple[str, ...]
    paths: tuple[str, ...]
    handler: Handler
    scope: str | None


def add_routes(router: web.UrlDispatcher, routes: Iterable[Route]) -> dict[object, Route]:
    """Add the routes, and what answers where there is none; the policies by handler.

    aiohttp's own 404 and 405 would first tell a client that expects `100-continue` to send its body.
    """
    policies: dict[object, Route] = {}
    paths: dict[str, dict[str, Handler]] = {}
    for route in routes:
        policies[route.handler] = route
        for path in route.paths:
            paths.setdefault(path, {}).update(dict.fromkeys(route.methods, route.handler))
    for path, handlers in paths.items():
        wrong = _wrong_method(handlers)
        if all(policies[handler].scope is None for handler in handlers.values()):
            policies[wrong] = Route(("*",), (path,), wrong, None)  # as public as the path (recorded)
        for method, handler in (handlers | {"*": wrong}).items():
            router.add_route(method, path, handler, expect_handler=_expect)
    router.add_route("*", "/{path:.*}", _not_found, expect_handler=_expect)
    return policies


def _wrong_method(handlers: Mapping[str, Handler]) -> Handler:
    async def wrong_method(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, handlers)

    return wrong_method


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _expect(request: web.Request) -> web.Response | None:
    """`100-continue` is answered where the body is read; nothing else can be expected (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").strip().lower() == "100-continue":
        return None
    return web.Response(status=417)


def is_exact(raw_path: str) -> bool:
    """Whether the path is spelled plainly; escapes are understood in model ids (recorded) and session keys only."""
    return "%" not in raw_path.partition("?")[0] or raw_path.startswith(("/v1/models/", "/api/v1/sessions/"))
