"""`GET /metrics`: the numbers of the gateway for Prometheus."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.metrics.text import CONTENT_TYPE

SCRAPE: web.AppKey[Callable[[], Awaitable[bytes]]] = web.AppKey("scrape")
"""The exposition text of now."""


async def metrics(request: web.Request) -> web.StreamResponse:
    """The gateway's metrics in the text format of Prometheus."""
    body = await request.app[SCRAPE]()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
