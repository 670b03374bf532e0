"""aiohttp: a login that locks out, and a quota as a middleware. REDIS_URL makes processes count together."""

import os
import secrets
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from openclaw_ratelimit import FailureLimiter, Locked, LockoutPolicy, Quota, QuotaExceeded, QuotaPolicy, ReplicationLink
from openclaw_ratelimit.addresses import TrustedProxies
from openclaw_ratelimit.headers import ratelimit_headers, retry_after

PROXIES = TrustedProxies(os.environ.get("TRUSTED_PROXIES", "").split())
LIMITER = web.AppKey("limiter", FailureLimiter)
QUOTA = web.AppKey("quota", Quota)
LINK = web.AppKey("link", ReplicationLink)


def address(request: web.Request) -> str:
    return PROXIES.client(request.remote, request.headers.getall("X-Forwarded-For", ()))


@web.middleware
async def limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with request.app[QUOTA].reserve({"address": address(request)}) as reserved:
            response = await handler(request)
            response.headers.update(ratelimit_headers(reserved.statuses))
            return response
    except Locked as locked:
        return web.Response(status=429, headers={"Retry-After": str(retry_after(locked))})
    except QuotaExceeded as exceeded:
        seconds = retry_after(exceeded)
        headers = {"Retry-After": str(seconds)} | ratelimit_headers(exceeded.refusal.statuses, seconds)
        return web.Response(status=429, headers=headers)


async def login(request: web.Request) -> web.Response:
    async with request.app[LIMITER].attempt(address(request)) as attempt:
        given = (await request.post()).get("password", "")
        if not secrets.compare_digest(str(given).encode(), b"right"):
            await attempt.failed()
            return web.Response(status=401)
        await attempt.succeeded()
        return web.Response(text="welcome")


async def opened(app: web.Application) -> AsyncIterator[None]:
    async with app[LINK]:
        yield
    await app[LINK].client.aclose()


def create_app() -> web.Application:
    app = web.Application(middlewares=[limits])
    link = None
    if url := os.environ.get("REDIS_URL"):
        from redis.asyncio import Redis

        link = app[LINK] = ReplicationLink(Redis.from_url(url), name="recipe")
        app.cleanup_ctx.append(opened)
    app[LIMITER] = FailureLimiter(LockoutPolicy(max_attempts=3), link=link)
    app[QUOTA] = Quota([QuotaPolicy.parse("address", "20/minute", per=("address",))], link=link)
    app.router.add_post("/login", login)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
