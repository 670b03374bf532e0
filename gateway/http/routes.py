"""What a route is: its method, path and handler, and the policy that the middlewares read from nowhere else."""

from collections.abc import Awaitable, Callable
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


def is_exact(raw_path: str) -> bool:
    """Whether the path is spelled plainly; escapes are understood in model ids only (recorded)."""
    return "%" not in raw_path.partition("?")[0] or raw_path.startswith("/v1/models/")
