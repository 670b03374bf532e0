"""What a route is: its method, path and handler, and the policy that its chain is made from."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MiB = 2**20
CHAT_BODY = 20 * MiB
RESPONSES_BODY = 20 * MiB
EMBEDDINGS_BODY = 5 * MiB


@dataclass(frozen=True, slots=True)
class Route:
    """One route. Without a scope no credential is asked for; a `public` one needs no attribution, either."""

    methods: tuple[str, ...]
    paths: tuple[str, ...]
    handler: Handler
    scope: str | None
    public: bool = False


def add_routes(router: web.UrlDispatcher, routes: Iterable[Route], chained: Callable[[Route], Handler]) -> None:
    """Add the routes, and what answers where there is none, each as `chained` makes it.

    aiohttp's own 404 and 405 would first tell a client that expects `100-continue` to send its body.
    """
    paths: dict[str, dict[str, Route]] = {}
    for route in routes:
        for path in route.paths:
            paths.setdefault(path, {}).update(dict.fromkeys(route.methods, route))
    for path, by_method in paths.items():
        public = all(route.public for route in by_method.values())  # then so is that it has no such method (recorded)
        wrong = Route(("*",), (path,), _wrong_method(by_method), None, public=public)
        for method, route in (by_method | {"*": wrong}).items():
            router.add_route(method, path, chained(route), expect_handler=_expect)
    nowhere = Route(("*",), ("/{path:.*}",), _not_found, None)
    router.add_route("*", "/{path:.*}", chained(nowhere), expect_handler=_expect)


def _wrong_method(methods: Iterable[str]) -> Handler:
    allowed = tuple(methods)

    async def wrong_method(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

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
