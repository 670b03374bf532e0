"""What has been used of budgets: whose budgets there are, and what counts of each at all instances.

The windows hold no names, so a report asks for every combination of the known agents, models and identities, and for
those that requests to this process had.
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.access.client_keys import principal_of
from gateway.access.key_registry import KeyRegistry
from gateway.core.identity import Principal
from gateway.dispatch.snapshot import Snapshot
from gateway.http.budget_alerts import Seen
from gateway.http.quota_policies import client_policies, is_budget, is_named
from openclaw_ratelimit import Quota, QuotaPolicy, QuotaUsage

MAX_COMBINATIONS = 10_000
"""Of one budget. If there are more, a report has only those that requests to this process had."""
_PAGE = 200  # budgets that are asked for at the same time


class Budget(NamedTuple):
    """One budget of one identity, agent or model: `values` are those of the policy's `per`, in its order.

    `amount` is in the policy's unit; a budget that is not `hard` only warns.
    """

    policy: QuotaPolicy
    values: tuple[str, ...]
    amount: int
    hard: bool

    @property
    def attributes(self) -> dict[str, str]:
        """The values by dimension."""
        return dict(zip(self.policy.per, self.values, strict=True))


def known_budgets(
    snapshot: Snapshot, keys: KeyRegistry | None, seen: Iterable[Seen], wanted: Mapping[str, str]
) -> list[Budget]:
    """The budgets of a configuration and of client keys that have the `wanted` values (by dimension, or `name`)."""
    clients = [principal_of(record) for record in snapshot.declared_keys.values()]
    clients += [] if keys is None else keys.replica.principals()
    known = _known_values(snapshot, clients, wanted)
    in_use: dict[str, list[tuple[str, ...]]] = {}
    for one in seen:
        in_use.setdefault(one.policy.name, []).append(one.values)
    result: dict[tuple[str, ...], Budget] = {}

    def add(policy: QuotaPolicy, values: tuple[str, ...]) -> None:
        attributes = dict(zip(policy.per, values, strict=True))
        if all(attributes.get(name) == value for name, value in wanted.items() if name != "name"):
            amount = snapshot.soft_budgets.get(policy.name)
            budget = Budget(policy, values, policy.amount if amount is None else amount, amount is None)
            result.setdefault((policy.name, *values), budget)  # of policies with one name the first one applies

    for policy in () if snapshot.quota is None else snapshot.quota.policies:
        if is_budget(policy.name) and is_named(policy.name, wanted.get("name")):
            for values in (*_combinations(policy, known), *in_use.get(policy.name, ())):
                if _applies(policy, values):
                    add(policy, values)
    for client in clients:
        for policy in client_policies(client):
            if is_budget(policy.name) and is_named(policy.name, wanted.get("name")):
                add(policy, (f"user:{client.name}",))
    return list(result.values())


def configured_budgets(snapshot: Snapshot) -> Iterator[str]:
    """The names of the configuration's budgets."""
    policies = () if snapshot.quota is None else snapshot.quota.policies
    return (policy.name for policy in policies if is_budget(policy.name))


async def usages(quota: Quota, budgets: Sequence[Budget]) -> list[QuotaUsage]:
    """What has been used of each of these budgets."""
    plain = quota.with_policies(())
    result: list[QuotaUsage] = []
    for start in range(0, len(budgets), _PAGE):
        page = budgets[start : start + _PAGE]
        for usage in await asyncio.gather(*(_usage(plain, budget) for budget in page)):
            result += usage
    return result


async def _usage(quota: Quota, budget: Budget) -> tuple[QuotaUsage, ...]:
    policy = budget.policy
    unfiltered = QuotaPolicy(policy.name, policy.counts, policy.amount, policy.window, policy.per, strict=True)
    return await quota.usage(budget.attributes, (unfiltered,))


def _known_values(
    snapshot: Snapshot, clients: Iterable[Principal], wanted: Mapping[str, str]
) -> dict[str, dict[str, None]]:
    """The values of each dimension that a request can have; those of the query may be known to other instances."""
    agents = snapshot.directory.agents
    models = (ref for agent in agents for ref in (*agent.candidates, agent.embedding) if ref is not None)
    known = {
        "identity": dict.fromkeys(("owner", *(f"user:{client.name}" for client in clients))),
        "agent": dict.fromkeys(agent.id for agent in agents),
        "model": dict.fromkeys(map(str, models)),
    }
    for dimension in known.keys() & wanted.keys():
        known[dimension] = {wanted[dimension]: None}
    return known


def _combinations(policy: QuotaPolicy, known: Mapping[str, dict[str, None]]) -> Iterator[tuple[str, ...]]:
    count = 1
    for dimension in policy.per:
        count *= len(known[dimension])
    return itertools.product(*(known[dimension] for dimension in policy.per)) if count <= MAX_COMBINATIONS else iter(())


def _applies(policy: QuotaPolicy, values: tuple[str, ...]) -> bool:
    """Whether the policy's filters let a request with these values through; the other dimensions may be any."""
    attributes = dict(zip(policy.per, values, strict=True))
    filters = {name: allowed for name, allowed in policy.only.items() if name in attributes}
    return QuotaPolicy(policy.name, policy.counts, policy.amount, policy.window, only=filters).applies(attributes)
