"""`gateway.limits`, `gateway.budgets`, and the limits and budgets of client keys → quota policies."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from gateway.config.budgets import SECONDS, BudgetConfig, nanodollars
from gateway.config.limits import LimitConfig
from gateway.core.identity import ClientBudget, ClientLimits, Principal
from openclaw_ratelimit import QuotaPolicy

_BUDGET, _KEY_BUDGET = "-budget", "key.budget."  # no other policy ends or begins so: those of limits end with a unit
_UNLIMITED = 2**53 - 1  # a budget that only warns


def policies_from(limits: Sequence[LimitConfig]) -> tuple[QuotaPolicy, ...]:
    """One policy per amount, in the order of the rules. A rule without a name gets its name from `per`."""
    taken = {limit.name for limit in limits if limit.name}
    policies: list[QuotaPolicy] = []
    for limit in limits:
        name = limit.name or _unused("-".join(limit.per) or "all", taken)
        taken.add(name)
        policies += _policies(name, limit)
    return tuple(policies)


def is_budget(name: str) -> bool:
    """Whether the policy with this name is a budget."""
    return name.endswith(_BUDGET) or name.startswith(_KEY_BUDGET)


def is_named(policy: str, name: str | None) -> bool:
    """Whether a budget's policy has this name, as it is in reports or as `gateway.budgets` has it; None names all."""
    return name is None or name in (policy, policy.removesuffix(_BUDGET))


def budget_policies_from(budgets: Sequence[BudgetConfig]) -> tuple[tuple[QuotaPolicy, ...], dict[str, int]]:
    """One policy per budget, and the amounts of the budgets that only warn, by name."""
    taken = {budget.name for budget in budgets if budget.name}
    policies, warnings = [], {}
    for budget in budgets:
        name = budget.name or _unused("-".join((*budget.per, budget.window)), taken)
        taken.add(name)
        only = _filters(budget.identities, budget.agents, budget.models)
        window = SECONDS[budget.window]
        for counts, amount in _amounts(budget.tokens, None if budget.usd is None else nanodollars(budget.usd)):
            if not budget.hard:
                warnings[f"{name}{_BUDGET}"] = amount
            held = amount if budget.hard else _UNLIMITED
            policies.append(QuotaPolicy(f"{name}{_BUDGET}", counts, held, window, budget.per, only, strict=True))
    return tuple(policies), warnings


def _amounts(tokens: int | None, money: int | None) -> Iterator[tuple[Literal["tokens", "cost"], int]]:
    if tokens is not None:
        yield "tokens", tokens
    if money is not None:
        yield "cost", money


def client_policies(principal: Principal) -> tuple[QuotaPolicy, ...]:
    """The policies of one client beside those of the configuration."""
    if principal.limits is None and principal.budget is None:
        return ()
    return _client_policies(principal.limits or ClientLimits(), principal.budget)


@lru_cache(1024)
def _client_policies(limits: ClientLimits, budget: ClientBudget | None) -> tuple[QuotaPolicy, ...]:
    per = ("identity",)
    policies = []
    if budget is not None:
        name = f"{_KEY_BUDGET}{budget.window}"
        policies += [
            QuotaPolicy(name, counts, amount, budget.window, per, strict=True)
            for counts, amount in _amounts(budget.tokens, budget.nanodollars)
        ]
    if limits.requests_per_minute is not None:
        policies.append(QuotaPolicy("key.requests", "requests", limits.requests_per_minute, per=per))
    if limits.tokens_per_minute is not None:
        policies.append(QuotaPolicy("key.tokens", "tokens", limits.tokens_per_minute, per=per))
    if limits.concurrent_runs is not None:
        policies.append(QuotaPolicy("key.runs", "runs", limits.concurrent_runs, per=per))
    return tuple(policies)


def _policies(name: str, limit: LimitConfig) -> Iterator[QuotaPolicy]:
    only = _filters(limit.identities, limit.agents, limit.models)
    if limit.requests_per_minute is not None:
        yield QuotaPolicy(f"{name}-requests", "requests", limit.requests_per_minute, per=limit.per, only=only)
    if limit.tokens_per_minute is not None:
        yield QuotaPolicy(f"{name}-tokens", "tokens", limit.tokens_per_minute, per=limit.per, only=only)
    if limit.concurrent_runs is not None:
        yield QuotaPolicy(f"{name}-runs", "runs", limit.concurrent_runs, per=limit.per, only=only)


def _filters(identities: Sequence[str], agents: Sequence[str], models: Sequence[str]) -> dict[str, Sequence[str]]:
    filters = {"identity": tuple(f"user:{user}" for user in identities), "agent": agents, "model": models}
    return {attribute: values for attribute, values in filters.items() if values}


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate
