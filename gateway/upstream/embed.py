"""The interface of embedders, and embeddings from a provider: one POST for as many inputs as it takes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from gateway.core.errors import BadRequest, Unavailable
from gateway.core.token_estimate import text_bytes, tokens_in
from gateway.upstream.client import ProviderClient
from gateway.upstream.deadline import Deadlines
from gateway.upstream.http import Client, Limits
from gateway.upstream.provider import Provider
from gateway.upstream.whole import ask_whole
from gateway.wire import UPSTREAMS
from gateway.wire.contract import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from gateway.wire.model import ModelSpec

_MAX_BATCH_BYTES = 900_000
"""Of the texts of one request. OpenAI takes 300,000 tokens, and no common tokenizer makes more of that."""


def batches(inputs: Sequence[EmbeddingInput], size: int) -> list[tuple[EmbeddingInput, ...]]:
    """The inputs in order, at most `size` together and so many bytes; a longer text stands alone."""
    made: list[list[EmbeddingInput]] = []
    room = 0
    for one in inputs:
        length = len(one.encode("utf-8", "surrogatepass")) if isinstance(one, str) else len(one) * _BYTES_PER_TOKEN
        if not made or len(made[-1]) == size or length > room:
            made.append([])
            room = _MAX_BATCH_BYTES
        made[-1].append(one)
        room -= length
    return [tuple(batch) for batch in made]


_BYTES_PER_TOKEN = 3


def joined(replies: Sequence[EmbeddingReply]) -> EmbeddingReply:
    """The reply to all batches."""
    if len(replies) == 1:
        return replies[0]
    vectors = [vector for reply in replies for vector in reply.vectors]
    return EmbeddingReply(
        vectors, sum(reply.prompt_tokens for reply in replies), sum(reply.total_tokens for reply in replies)
    )


def input_tokens(request: EmbeddingRequest) -> int:
    """An estimate of the tokens of the inputs."""
    texts = sum(text_bytes(one) for one in request.inputs if isinstance(one, str))
    return tokens_in(texts) + sum(len(one) for one in request.inputs if not isinstance(one, str))


def texts_of(request: EmbeddingRequest) -> tuple[str, ...]:
    """The inputs if all are texts. Raises BadRequest for token ids, which few models understand."""
    texts = tuple(one for one in request.inputs if isinstance(one, str))
    if len(texts) < len(request.inputs):
        text = "token ids are understood only by the models of their tokenizer, not by this agent's embedding model"
        hint = "send texts (LangChain: check_embedding_ctx_length=False)"
        raise BadRequest(f"`input`: {text}; {hint}.", param="input", code="tokens_unsupported")
    return texts


class Embedder(Protocol):
    """Embeds texts."""

    async def embed(
        self, provider: Provider, model: ModelSpec, request: EmbeddingRequest, end: float, *, fresh: bool = False
    ) -> EmbeddingReply:
        """One vector per input, in order, before `end` (loop time). Raises UpstreamError or BadRequest.

        `provider` is the row with the key to use; `fresh` forces a new connection.
        """
        ...


class HttpEmbedder:
    """Embeds with a provider's `/embeddings`."""

    def __init__(self, http: Client, limits: Limits, deadlines: Deadlines) -> None:
        self._client = ProviderClient(http, limits, deadlines)

    async def embed(
        self, provider: Provider, model: ModelSpec, request: EmbeddingRequest, end: float, *, fresh: bool = False
    ) -> EmbeddingReply:
        """See Embedder. A client that leaves cancels the request at the provider."""
        embeddings = UPSTREAMS[provider.wire].embeddings
        if embeddings is None:
            raise Unavailable(f"Provider '{provider.id}' has no embeddings. Name another in memory.search.provider.")
        if not embeddings.takes_tokens(model):
            texts_of(request)
        done = request.replies
        for batch in batches(request.inputs, embeddings.max_inputs(model))[len(done) :]:
            asked = embeddings.request(replace(request, inputs=batch), model)
            parse = partial(embeddings.parse, expected=len(batch))
            wait = self._client.limits.last.whole
            done.append(await ask_whole(self._client, provider, asked, parse, wait=wait, end=end, fresh=fresh))
        reply = joined(done)
        done.clear()
        return reply
