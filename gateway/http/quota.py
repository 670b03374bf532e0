"""Applies `gateway.limits` and the limits of client keys: reserves tokens before the provider is called, and settles
the reservation in every ending.

For a client without limits, a request only finds out that it has nothing to settle.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.agents.agent import Agent
from gateway.core.client_key import format_time
from gateway.core.errors import BadRequest, BudgetExceeded, RateLimited
from gateway.core.identity import Principal
from gateway.core.names import ModelRef
from gateway.core.price import NANODOLLARS, Price, cost
from gateway.core.token_estimate import answer_tokens, max_answer_tokens, prompt_tokens
from gateway.core.usage import Usage
from gateway.http.budget_alerts import BUDGET_ALERTS
from gateway.http.keys import CLIENT, PRINCIPAL, SNAPSHOT, TRACE, Trace
from gateway.http.metering import Meter, MeteredEmbedder, UsageMeter
from gateway.http.quota_headers import quota_headers
from gateway.http.quota_policies import client_policies, is_budget
from gateway.http.response_headers import add_headers
from gateway.runs.embed import embedding_model
from gateway.runs.run import Run
from gateway.upstream.embed import Embedder, input_tokens
from gateway.upstream.provider import Provider
from gateway.wire.contract import EmbeddingRequest
from openclaw_ratelimit import LimitStatus, Quota, QuotaPolicy, Refusal
from openclaw_ratelimit.headers import retry_after


def quota_for(quota: Quota | None, principal: Principal) -> Quota | None:
    """The quota that applies to this caller, None without a limit for it."""
    return quota if quota is not None and (quota.policies or client_policies(principal)) else None


async def admitted_run(request: web.Request, quota: Quota, run: Run) -> UsageMeter:
    """The run with a reservation under every limit. Raises RateLimited, or BadRequest for a prompt that never fits."""
    model = run.chain[0]
    provider = run.context.providers.get(model.provider)
    prompt = prompt_tokens(run.turn)
    limit = provider.model(model.model).max_tokens if provider else None
    answer, max_answer = answer_tokens(run.turn, limit), max_answer_tokens(run.turn, limit)
    providers = run.context.providers
    prices = [price_of(providers, ref) for ref in run.chain]
    amounts = _Amounts(prompt, prompt + answer, prompt + max_answer, _max_cost(prompt, max_answer, prices))
    meter = await _admit(
        request, quota, run.agent, model, amounts, price=lambda: price_of(providers, run.trace.answered or model)
    )
    return UsageMeter(run, meter)


async def admitted_side_run(request: web.Request, quota: Quota, run: Run) -> UsageMeter:
    """A run beside the request's own, which counts for the same client and settles itself. Raises as `admitted_run`."""
    metered = await admitted_run(request, quota, run)
    hand_over(request)
    return metered


async def admit_count(request: web.Request, quota: Quota, run: Run) -> None:
    """Take a request without tokens: the provider counts a prompt, and charges nothing. Raises RateLimited."""
    await _admit(request, quota, run.agent, run.chain[0], _Amounts(0, 0, 0, 0), price=lambda: None)


async def admitted_embedders(
    request: web.Request,
    quota: Quota,
    agent: Agent,
    wanted: EmbeddingRequest,
    *,
    override: str | None,
    embedders: Mapping[str, Embedder],
) -> Mapping[str, Embedder]:
    """The selected embedder with a reservation under every limit. Raises as `admitted_run` and `embedding_model`.

    `embed` refuses a missing embedder; it needs no reservation.
    """
    model = embedding_model(agent, override)
    embedder = embedders.get(model.provider)
    if embedder is None:
        return {}
    prompt = input_tokens(wanted)
    price = price_of(request[SNAPSHOT].runs.providers, model)
    amounts = _Amounts(prompt, prompt, prompt, _max_cost(prompt, 0, [price]))
    meter = await _admit(request, quota, agent, model, amounts, price=lambda: price)
    return {model.provider: MeteredEmbedder(embedder, meter)}


class _Amounts(NamedTuple):
    """What a request takes: tokens of its prompt, an estimate of all, the most that it can take, and the most that this
    can cost in nanodollars (None: the price is unknown).
    """

    prompt: int
    estimate: int
    worst: int
    cost: int | None


def price_of(providers: Mapping[str, Provider], model: ModelRef) -> Price | None:
    """The price of a model, None if it is unknown."""
    provider = providers.get(model.provider)
    return None if provider is None else provider.prices.get(model.model)


def _max_cost(prompt: int, answer: int, prices: Sequence[Price | None]) -> int | None:
    """The most that a request can cost, whichever model of the chain answers. None if the price of the first is
    unknown; a fallback without one is taken for no more expensive than the others.
    """
    if prices[0] is None:
        return None
    total = prompt + answer
    # What a provider stores in its cache may cost more than what it only reads.
    usages = (Usage(prompt, answer, total), Usage(prompt, answer, total, cache_write=prompt))
    known = [one for price in prices for usage in usages if (one := cost(usage, price)) is not None]
    return max(known, default=None)


async def _admit(
    request: web.Request,
    quota: Quota,
    agent: Agent,
    model: ModelRef,
    amounts: _Amounts,
    *,
    price: Callable[[], Price | None],
) -> Meter:
    principal = request[PRINCIPAL]
    caller = identity(principal, request[CLIENT])
    attributes = (("identity", caller), ("agent", agent.id), ("model", str(model)))
    (prompt, estimate, worst, money) = amounts
    outcome = await quota.reserve(
        attributes, estimate, prompt, own=client_policies(principal), worst=worst, cost=money or 0
    )
    soft = request[SNAPSHOT].soft_budgets
    reserved = {} if isinstance(outcome, Refusal) else {"tokens": worst, "cost": max(1, money or 0)}
    warnings = request.app[BUDGET_ALERTS].observe(outcome.statuses, attributes, reserved, soft)
    if isinstance(outcome, Refusal):
        add_headers(request, warnings)
        raise _refused(request, outcome, prompt, worst)
    if money is None and (budget := _hard_money(outcome.statuses, soft)) is not None:
        await outcome.undo()
        raise BadRequest(
            f"The budget '{budget}' counts US dollars, but the price of {model} is not known. Ask the operator to set "
            "its `cost` in models.providers.",
            code="price_unknown",
        )
    meter = request[TRACE].meter = Meter(outcome, prompt, price)
    if outcome.statuses:
        add_headers(request, quota_headers(outcome.statuses) | warnings)
    return meter


def _hard_money(statuses: Sequence[LimitStatus], soft: Mapping[str, int]) -> str | None:
    """The name of a budget in dollars that refuses."""
    names = (status.policy.name for status in statuses if status.policy.counts == "cost")
    return next((name for name in names if name not in soft), None)


def hand_over(request: web.Request) -> Meter | None:
    """Take the meter of an admitted run that outlives its request. The caller settles it."""
    trace = request[TRACE]
    meter, trace.meter = trace.meter, None
    return meter


def identity(principal: Principal, client: ClientAddress) -> str:
    """The identity for limits: the user that the proxy names, or the name of the client's key; the owner with the
    shared secret; without authentication the client's address (the /64 of an IPv6 address).
    """
    if principal.name is not None:
        return f"user:{principal.name}"
    return "owner" if principal.shared_secret else f"address:{client.key}"


def _refused(request: web.Request, refusal: Refusal, prompt: int, worst: int) -> RateLimited | BadRequest:
    policy = max(refusal.violated, key=lambda status: status.wait or float("inf")).policy
    seconds = retry_after(refusal)
    if is_budget(policy.name):
        return _over_budget(request, refusal, policy, worst, seconds)
    if seconds is None:
        add_headers(request, quota_headers(refusal.statuses))
        return BadRequest(
            f"The prompt has about {prompt} tokens, more than the limit '{policy.name}' of {_amount(policy)} can ever "
            "let through. Send a shorter one.",
            code="rate_limit_exceeded",
        )
    add_headers(request, quota_headers(refusal.statuses, seconds))
    message = f"The limit '{policy.name}' of {_amount(policy)} is reached. Try again in {seconds} s."
    return RateLimited(message, seconds, why=f"limit {policy.name}")


def _over_budget(
    request: web.Request, refusal: Refusal, policy: QuotaPolicy, worst: int, seconds: int | None
) -> BudgetExceeded | BadRequest:
    if seconds is None:
        amount = "more" if policy.counts == "cost" else f"{worst} tokens, more"
        return BadRequest(
            f"The request can take {amount} than the budget '{policy.name}' of {_amount(policy)}. Send a "
            "shorter prompt, or a lower limit of the answer such as max_tokens.",
            code="budget_exceeded",
        )
    add_headers(request, quota_headers(refusal.statuses, seconds))
    opens = format_time(time.time() + seconds)
    message = (
        f"The budget '{policy.name}' of {_amount(policy)} has no room for this request. It opens again at {opens}."
    )
    return BudgetExceeded(message, seconds, why=f"budget {policy.name}")


def _amount(policy: QuotaPolicy) -> str:
    if policy.counts == "runs":
        return f"{policy.amount} runs at the same time"
    if policy.counts == "cost":
        return f"{policy.amount / NANODOLLARS:g} US dollars in {policy.window} s"
    return f"{policy.amount} {policy.counts} in {policy.window} s"


def settle(trace: Trace) -> Awaitable[None] | None:
    """Settle the reservation of the request, if it has one and nothing has taken it over."""
    meter = trace.meter
    return None if meter is None else meter.settle()
