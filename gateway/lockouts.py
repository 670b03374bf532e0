"""Configuration → the lockout, which follows changed configurations: what is on record outlives them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.access.lockout import Lockout
from gateway.access.release_spool import ReleaseSpool
from gateway.access.release_sync import ReleaseSync
from gateway.access.secret_strength import is_guessable, needs_budget
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
    lockout.let_keys_forgive(enabled=not is_guessable(auth))

    def adjust(config: Config) -> None:
        auth = config.gateway.auth
        limits = auth.rate_limit
        limiter.adjust(_policy(limits), budget=_budget(auth), while_away=limits.failure_mode)
        delay.policy = _delay(limits)
        lockout.exempt_loopback(delay if limits.exempt_loopback else None)
        lockout.let_keys_forgive(enabled=not is_guessable(auth))

    return lockout, adjust


def releases_from(
    lockout: Lockout, config: Config, state: Path, link: ReplicationLink
) -> tuple[ReleaseSync, Callable[[Config], None]]:
    """What passes released locks to gateways with the same state directory that count together (under one prefix, in
    one database), and a function that adjusts it to another configuration.
    """
    group = link.channel.replace("{", "").replace("}", "").replace(":", "-")
    spool = ReleaseSpool(state / "released-locks" / group, max_age=_lockout(config))

    def adjust(config: Config) -> None:
        spool.max_age = max(spool.max_age, _lockout(config))  # locks that were earned before last as long as then

    return ReleaseSync(lockout, spool, lambda: not link.available), adjust


def _lockout(config: Config) -> float:
    return config.gateway.auth.rate_limit.lockout_ms / 1000


def _policy(limits: RateLimitConfig) -> LockoutPolicy:
    return LockoutPolicy(limits.max_attempts, limits.window_ms / 1000, limits.lockout_ms / 1000)


def _budget(auth: AuthConfig) -> BudgetPolicy | None:
    return BudgetPolicy(auth.rate_limit.global_per_minute) if needs_budget(auth) else None


def _delay(limits: RateLimitConfig) -> DelayPolicy:
    return DelayPolicy(window=limits.window_ms / 1000)
