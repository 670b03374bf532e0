"""`gateway.limits`, and the limits of client keys → quota policies."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from gateway.config.limits import LimitConfig
from gateway.core.identity import ClientLimits
from openclaw_ratelimit import QuotaPolicy


def policies_from(limits: Sequence[LimitConfig]) -> tuple[QuotaPolicy, ...]:
    """One policy per amount, in the order of the rules. A rule without a name gets its name from `per`."""
    taken = {limit.name for limit in limits if limit.name}
    policies: list[QuotaPolicy] = []
    for limit in limits:
        name = limit.name or _unused("-".join(limit.per) or "all", taken)
        taken.add(name)
        policies += _policies(name, limit)
    return tuple(policies)


@lru_cache(1024)
def client_policies(limits: ClientLimits) -> tuple[QuotaPolicy, ...]:
    """The policies of one client. No rule of the configuration has their names, because of the dot."""
    per = ("identity",)
    policies = []
    if limits.requests_per_minute is not None:
        policies.append(QuotaPolicy("key.requests", "requests", limits.requests_per_minute, per=per))
    if limits.tokens_per_minute is not None:
        policies.append(QuotaPolicy("key.tokens", "tokens", limits.tokens_per_minute, per=per))
    if limits.concurrent_runs is not None:
        policies.append(QuotaPolicy("key.runs", "runs", limits.concurrent_runs, per=per))
    return tuple(policies)


def _policies(name: str, limit: LimitConfig) -> Iterator[QuotaPolicy]:
    filters = {
        "identity": tuple(f"user:{user}" for user in limit.identities),
        "agent": limit.agents,
        "model": limit.models,
    }
    only = {attribute: values for attribute, values in filters.items() if values}
    if limit.requests_per_minute is not None:
        yield QuotaPolicy(f"{name}-requests", "requests", limit.requests_per_minute, per=limit.per, only=only)
    if limit.tokens_per_minute is not None:
        yield QuotaPolicy(f"{name}-tokens", "tokens", limit.tokens_per_minute, per=limit.per, only=only)
    if limit.concurrent_runs is not None:
        yield QuotaPolicy(f"{name}-runs", "runs", limit.concurrent_runs, per=limit.per, only=only)


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate
