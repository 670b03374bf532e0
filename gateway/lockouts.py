"""Configuration → the lockout, which follows changed configurations: what is on record outlives them."""

from collections.abc import Callable
from typing import Any

from gateway.access.lockout import Lockout
from gateway.access.secret_strength import needs_budget
from gateway.config.auth import AuthConfig, RateLimitConfig
from gateway.config.root import Config
from openclaw_ratelimit import (
    BudgetPolicy,
    DelayPolicy,
    FailureDelay,
    FailureLimiter,
    LockoutPolicy,
    ReplicationLink,
)


def lockout_from(
    auth: AuthConfig, link: ReplicationLink | None, **options: Any
) -> tuple[Lockout, Callable[[Config], None]]:
    """The lockout, and a function that adjusts it to another configuration of the same `gateway.auth.mode`.

    `options` are those of Lockout.
    """
    limits = auth.rate_limit
    limiter = FailureLimiter(
        _policy(limits),
        budget=_budget(auth),
        link=link,
        kind="token" if auth.mode == "token" else "password",  # the mode's only class of credential
        while_away=limits.failure_mode,
    )
    delay = FailureDelay(_delay(limits))
    lockout = Lockout(limiter, delay=delay if limits.exempt_loopback else None, **options)

    def adjust(config: Config) -> None:
        auth = config.gateway.auth
        limits = auth.rate_limit
        limiter.adjust(_policy(limits), budget=_budget(auth), while_away=limits.failure_mode)
        delay.policy = _delay(limits)
        lockout.exempt_loopback(delay if limits.exempt_loopback else None)

    return lockout, adjust


def _policy(limits: RateLimitConfig) -> LockoutPolicy:
    return LockoutPolicy(limits.max_attempts, limits.window_ms / 1000, limits.lockout_ms / 1000)


def _budget(auth: AuthConfig) -> BudgetPolicy | None:
    return BudgetPolicy(auth.rate_limit.global_per_minute) if needs_budget(auth) else None


def _delay(limits: RateLimitConfig) -> DelayPolicy:
    return DelayPolicy(window=limits.window_ms / 1000)
