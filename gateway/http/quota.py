"""Applies `gateway.limits`: reserves tokens before the provider is called, and settles the reservation in every ending.

Without limits, a request only finds out that it has nothing to settle: its snapshot has no `Quota`.
"""

from collections.abc import Awaitable, Mapping

from aiohttp import web

from gateway.access.client import ClientAddress
from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest, RateLimited
from gateway.core.identity import Principal
from gateway.core.names import ModelRef
from gateway.core.token_estimate import answer_tokens, prompt_tokens, text_bytes, tokens_in
from gateway.http.keys import ADDED_HEADERS, CLIENT, PRINCIPAL
from gateway.http.metering import Meter, MeteredEmbedder, UsageMeter
from gateway.http.quota_headers import quota_headers
from gateway.runs.embed import embedding_model
from gateway.runs.run import Run
from gateway.upstream.embed import Embedder
from gateway.wire.contract import EmbeddingRequest
from openclaw_ratelimit import Quota, QuotaPolicy, Refusal
from openclaw_ratelimit.headers import retry_after

METER = web.RequestKey("meter", Meter)


async def admitted_run(request: web.Request, quota: Quota, run: Run) -> UsageMeter:
    """The run with a reservation under every limit. Raises RateLimited, or BadRequest for a prompt that never fits."""
    model = run.chain[0]
    provider = run.context.providers.get(model.provider)
    prompt = prompt_tokens(run.turn)
    answer = answer_tokens(run.turn, provider.model(model.model).max_tokens if provider else None)
    return UsageMeter(run, await _admit(request, quota, run.agent, model, prompt=prompt, answer=answer))


async def admitted_side_run(request: web.Request, quota: Quota, run: Run) -> UsageMeter:
    """A run beside the request's own, which counts for the same client and settles itself. Raises as `admitted_run`."""
    metered = await admitted_run(request, quota, run)
    hand_over(request)
    return metered


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
    prompt = tokens_in(sum(text_bytes(text) for text in wanted.inputs))
    meter = await _admit(request, quota, agent, model, prompt=prompt, answer=0)
    return {model.provider: MeteredEmbedder(embedder, meter)}


async def _admit(
    request: web.Request, quota: Quota, agent: Agent, model: ModelRef, *, prompt: int, answer: int
) -> Meter:
    caller = identity(request[PRINCIPAL], request[CLIENT])
    attributes = (("identity", caller), ("agent", agent.id), ("model", str(model)))
    outcome = await quota.reserve(attributes, prompt + answer, prompt)
    if isinstance(outcome, Refusal):
        raise _refused(request, outcome, prompt)
    meter = request[METER] = Meter(outcome, prompt)
    if outcome.statuses:
        _add_headers(request, quota_headers(outcome.statuses))
    return meter


def _add_headers(request: web.Request, headers: dict[str, str]) -> None:
    known = request.get(ADDED_HEADERS)
    request[ADDED_HEADERS] = headers if known is None else {**known, **headers}


def hand_over(request: web.Request) -> Meter | None:
    """Take the meter of an admitted run that outlives its request. The caller settles it."""
    meter = request.get(METER)
    if meter is not None:
        del request[METER]
    return meter


def identity(principal: Principal, client: ClientAddress) -> str:
    """The identity for limits: the user that the proxy names; the owner with the shared secret; without authentication
    the client's address (the /64 of an IPv6 address).
    """
    if principal.name is not None:
        return f"user:{principal.name}"
    return "owner" if principal.shared_secret else f"address:{client.key}"


def _refused(request: web.Request, refusal: Refusal, prompt: int) -> RateLimited | BadRequest:
    policy = max(refusal.violated, key=lambda status: status.wait or float("inf")).policy
    seconds = retry_after(refusal)
    if seconds is None:
        _add_headers(request, quota_headers(refusal.statuses))
        return BadRequest(
            f"The prompt has about {prompt} tokens, more than the limit '{policy.name}' of {_amount(policy)} can ever "
            "let through. Send a shorter one.",
            code="rate_limit_exceeded",
        )
    _add_headers(request, quota_headers(refusal.statuses, seconds))
    message = f"The limit '{policy.name}' of {_amount(policy)} is reached. Try again in {seconds} s."
    return RateLimited(message, seconds, why=f"limit {policy.name}")


def _amount(policy: QuotaPolicy) -> str:
    if policy.counts == "runs":
        return f"{policy.amount} runs at the same time"
    return f"{policy.amount} {policy.counts} in {policy.window} s"


def settle(request: web.Request) -> Awaitable[None] | None:
    """Settle the reservation of the request, if it has one and nothing has taken it over."""
    meter = request.get(METER)
    return None if meter is None else meter.settle()
