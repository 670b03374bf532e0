"""A run for embeddings: selects the embedding model of an agent and calls it."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest, Unavailable
from gateway.core.names import ModelRef, parse_model_ref
from gateway.runs.attempt_usage import metered_embedding
from gateway.runs.candidates import Candidate, unknown_model
from gateway.runs.context import RunContext
from gateway.runs.trace import RunTrace
from gateway.upstream.embed import Embedder
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest


async def embed(
    agent: Agent,
    request: EmbeddingRequest,
    override: str | None,
    embedders: Mapping[str, Embedder],
    context: RunContext,
    *,
    trace: RunTrace,
) -> EmbeddingReply:
    """The vectors of the agent's embedding model. It has retries and several keys like any model, but no fallback.

    Raises BadRequest, NotFound, Unavailable or UpstreamError.
    """
    ref = embedding_model(agent, override)
    embedder, provider = embedders.get(ref.provider), context.providers.get(ref.provider)
    if embedder is None or provider is None:
        raise unknown_model(ref)
    if request.dimensions is None and agent.embedding_dimensions is not None:
        request = replace(request, dimensions=agent.embedding_dimensions)
    model = provider.model(ref.model)
    candidates = tuple(Candidate(ref, row, model) for row in provider.row_for(ref.model).in_turn())
    attempts = context.attempts_of(candidates, trace)

    async def ask(one: Candidate) -> EmbeddingReply:
        call = embedder.embed(one.provider, model, request, attempts.end, fresh=attempts.fresh)
        return await (metered_embedding(call, trace, request) if context.metered else call)

    return await attempts.ask(ask)


def embedding_model(agent: Agent, override: str | None) -> ModelRef:
    """The agent's embedding model, or another one of the same provider (recorded: other providers are refused)."""
    own = agent.embedding
    if own is None:
        raise Unavailable(
            f"Agent '{agent.id}' has no embedding model. Set memory.search.provider and memory.search.model."
        )
    if override is None:
        return own
    ref = parse_model_ref(override, own.provider)
    if ref is None:
        raise BadRequest(
            "Unsupported embedding model reference. Use `provider/model` or a bare model id.", param="x-openclaw-model"
        )
    if ref.provider != own.provider:
        raise BadRequest(
            f"Agent '{agent.id}' embeds with the provider '{own.provider}' only; `{ref.provider}` is not allowed on "
            "`/v1/embeddings`.",
            param="x-openclaw-model",
        )
    return ref
