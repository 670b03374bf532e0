"""The baseline: a minimal aiohttp proxy. It checks the token and passes the body and the answer through."""

import argparse
import hmac
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

SESSION = web.AppKey("SESSION", aiohttp.ClientSession)
DENIED = {"error": {"message": "Unauthorized", "type": "unauthorized", "param": None, "code": None}}


def application(provider: str, token: str) -> web.Application:
    """A proxy for `provider` (its URL without a path) that admits the bearer `token`."""
    expected = f"Bearer {token}".encode()

    async def forward(request: web.Request) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            return web.json_response(DENIED, status=401)
        body = await request.read()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}
        async with request.app[SESSION].post(provider + request.path, data=body, headers=headers) as upstream:
            if upstream.content_type != "text/event-stream":
                answer = await upstream.read()
                return web.Response(body=answer, status=upstream.status, content_type=upstream.content_type)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    async def own_session(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as app[SESSION]:
            yield

    app = web.Application(client_max_size=2**25)
    app.cleanup_ctx.append(own_session)
    app.add_routes([web.get("/healthz", alive), web.get("/v1/models", alive), web.post("/v1/{path:.*}", forward)])
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--provider", required=True, help="URL of the provider, without a path")
    parser.add_argument("--token", required=True)
    options = parser.parse_args()
    web.run_app(
        application(options.provider, options.token),
        host="127.0.0.1",
        port=options.port,
        loop=uvloop.new_event_loop(),
        access_log=None,
        print=None,
        handler_cancellation=True,
        backlog=4096,
    )
