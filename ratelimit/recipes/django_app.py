"""Django: an authentication backend that locks out (for views, the admin and REST frameworks alike: all call
`authenticate`), and a quota as a middleware. REDIS_URL makes processes count together.

    AUTHENTICATION_BACKENDS = ["recipes.django_app.LockoutBackend", "django.contrib.auth.backends.ModelBackend"]
    MIDDLEWARE = ["recipes.django_app.LimitsMiddleware", ...]
"""

import os
from collections.abc import Callable

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from openclaw_ratelimit import Locked, LockoutPolicy, QuotaExceeded, QuotaPolicy, ReplicationLink
from openclaw_ratelimit.addresses import TrustedProxies
from openclaw_ratelimit.blocking import LoopThread
from openclaw_ratelimit.headers import ratelimit_headers, retry_after


def link() -> ReplicationLink:
    from redis.asyncio import Redis

    return ReplicationLink(Redis.from_url(os.environ["REDIS_URL"]), name="recipe")


THREAD = LoopThread(link if "REDIS_URL" in os.environ else None)
LIMITER = THREAD.limiter(LockoutPolicy(max_attempts=3))
QUOTA = THREAD.quota([QuotaPolicy.parse("address", "20/minute", per=("address",))])
PROXIES = TrustedProxies(os.environ.get("TRUSTED_PROXIES", "").split())


def address(request: HttpRequest) -> str:
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    return PROXIES.client(request.META.get("REMOTE_ADDR"), [forwarded] if forwarded else [])


class LockoutBackend(ModelBackend):
    """Names and passwords as usual, each wrong one counted for the client's address."""

    def authenticate(self, request, username=None, password=None, **more):
        if request is None:  # a management command, a test
            return super().authenticate(request, username=username, password=password, **more)
        try:
            with LIMITER.attempt(address(request)) as attempt:
                user = super().authenticate(request, username=username, password=password, **more)
                if user is None:
                    attempt.failed()
                else:
                    attempt.succeeded()
        except Locked as locked:
            request.locked = locked  # for the middleware
            raise PermissionDenied from locked  # no other backend is asked
        if user is None:
            raise PermissionDenied
        return user


class LimitsMiddleware:
    """Answers locked clients with 429, and puts a quota on all views."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            with QUOTA.reserve({"address": address(request)}) as reserved:
                response = self._get_response(request)
        except QuotaExceeded as error:
            seconds = retry_after(error)
            headers = {"Retry-After": str(seconds)} | ratelimit_headers(error.refusal.statuses, seconds)
            return HttpResponse("too many requests", status=429, headers=headers)
        locked = getattr(request, "locked", None)
        if locked is not None:
            return HttpResponse("locked", status=429, headers={"Retry-After": str(retry_after(locked))})
        for name, value in ratelimit_headers(reserved.statuses).items():
            response.headers[name] = value
        return response
