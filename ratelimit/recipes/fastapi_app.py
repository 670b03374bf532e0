"""Starlette and FastAPI: a login that locks out, and a quota as a dependency.

REDIS_URL makes processes count together.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse

from openclaw_ratelimit import FailureLimiter, Locked, LockoutPolicy, Quota, QuotaExceeded, QuotaPolicy, ReplicationLink
from openclaw_ratelimit.addresses import TrustedProxies
from openclaw_ratelimit.headers import ratelimit_headers, retry_after

PROXIES = TrustedProxies(os.environ.get("TRUSTED_PROXIES", "").split())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        link = None
        if url := os.environ.get("REDIS_URL"):
            from redis.asyncio import Redis

            client = await stack.enter_async_context(Redis.from_url(url))
            link = ReplicationLink(client, name="recipe")
        app.state.limiter = FailureLimiter(LockoutPolicy(max_attempts=3), link=link)
        app.state.quota = Quota([QuotaPolicy.parse("address", "20/minute", per=("address",))], link=link)
        if link is not None:
            await stack.enter_async_context(link)  # after everything that uses it was made
        yield


app = FastAPI(lifespan=lifespan)


def address(request: Request) -> str:
    peer = request.client.host if request.client else None
    return PROXIES.client(peer, request.headers.getlist("X-Forwarded-For"))


Address = Annotated[str, Depends(address)]


async def within_quota(request: Request, response: Response, address: Address) -> AsyncIterator[None]:
    async with request.app.state.quota.reserve({"address": address}) as reserved:
        response.headers.update(ratelimit_headers(reserved.statuses))
        yield


@app.exception_handler(Locked)
async def locked(request: Request, error: Locked) -> Response:
    return JSONResponse({"detail": "locked"}, 429, {"Retry-After": str(retry_after(error))})


@app.exception_handler(QuotaExceeded)
async def exceeded(request: Request, error: QuotaExceeded) -> Response:
    seconds = retry_after(error)
    headers = {"Retry-After": str(seconds)} | ratelimit_headers(error.refusal.statuses, seconds)
    return JSONResponse({"detail": "too many requests"}, 429, headers)


@app.post("/login", dependencies=[Depends(within_quota)])
async def login(request: Request, response: Response, address: Address, password: Annotated[str, Form()] = "") -> str:
    async with request.app.state.limiter.attempt(address) as attempt:
        if not secrets.compare_digest(password.encode(), b"right"):
            await attempt.failed()
            response.status_code = 401
            return "wrong"
        await attempt.succeeded()
        return "welcome"
