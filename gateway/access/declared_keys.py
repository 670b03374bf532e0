"""`gateway.keys` → records of client keys, as if they were stored."""

from collections.abc import Mapping

from gateway.config.budgets import SECONDS, nanodollars
from gateway.config.keys import KeyBudgetConfig, KeyConfig, KeyLimitsConfig
from gateway.core.client_key import KeyRecord
from gateway.core.identity import ClientBudget, ClientLimits


def declared_keys(keys: Mapping[str, KeyConfig]) -> dict[str, KeyRecord]:
    """The declared keys by name. `gateway.config.auth_rules` has checked that each has a digest."""
    return {
        name: KeyRecord(
            name, digest, key.scopes, key.agents, _limits(key.limits), expires=key.expires, budget=_budget(key.budget)
        )
        for name, key in keys.items()
        if (digest := key.sha256) is not None
    }


def _budget(budget: KeyBudgetConfig | None) -> ClientBudget | None:
    if budget is None:
        return None
    money = None if budget.usd is None else nanodollars(budget.usd)
    return ClientBudget(SECONDS[budget.window], budget.tokens, money)


def _limits(limits: KeyLimitsConfig) -> ClientLimits | None:
    values = ClientLimits(limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent_runs)
    return None if values == ClientLimits() else values
