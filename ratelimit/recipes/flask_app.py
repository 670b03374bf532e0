"""Flask: a login that locks out, and a quota. REDIS_URL makes processes count together, gunicorn's and others."""

import os
import secrets

from flask import Flask, Response, request

from openclaw_ratelimit import Locked, LockoutPolicy, QuotaExceeded, QuotaPolicy, ReplicationLink
from openclaw_ratelimit.addresses import TrustedProxies
from openclaw_ratelimit.blocking import LoopThread
from openclaw_ratelimit.headers import ratelimit_headers, retry_after

PROXIES = TrustedProxies(os.environ.get("TRUSTED_PROXIES", "").split())


def link() -> ReplicationLink:
    from redis.asyncio import Redis

    return ReplicationLink(Redis.from_url(os.environ["REDIS_URL"]), name="recipe")


def create_app() -> Flask:
    app = Flask(__name__)
    thread = app.extensions["limits"] = LoopThread(link if "REDIS_URL" in os.environ else None)
    limiter = thread.limiter(LockoutPolicy(max_attempts=3))
    quota = thread.quota([QuotaPolicy.parse("address", "20/minute", per=("address",))])

    def address() -> str:
        return PROXIES.client(request.remote_addr, request.headers.getlist("X-Forwarded-For"))

    @app.errorhandler(Locked)
    def locked(error: Locked) -> Response:
        return Response("locked", 429, {"Retry-After": str(retry_after(error))})

    @app.errorhandler(QuotaExceeded)
    def exceeded(error: QuotaExceeded) -> Response:
        seconds = retry_after(error)
        headers = {"Retry-After": str(seconds)} | ratelimit_headers(error.refusal.statuses, seconds)
        return Response("too many requests", 429, headers)

    @app.post("/login")
    def login() -> Response:
        with quota.reserve({"address": address()}) as reserved, limiter.attempt(address()) as attempt:
            headers = ratelimit_headers(reserved.statuses)
            if not secrets.compare_digest(request.form.get("password", "").encode(), b"right"):
                attempt.failed()
                return Response("wrong", 401, headers)
            attempt.succeeded()
            return Response("welcome", 200, headers)

    return app
