"""The embedded model as a provider: a row for its chat server, an Embedder for its embeddings."""

from gateway.core.errors import Unavailable
from gateway.core.jsonio import dumps
from gateway.core.price import Price, Rates
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.authorise import fixed_headers
from gateway.upstream.embed import texts_of
from gateway.upstream.embedded import MODEL
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.provider import Provider, secrets_in
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest
from gateway.wire.model import ModelSpec

# A model this small sometimes repeats itself until its context is full, which takes a thread more than a minute.
_MAX_OUTPUT_TOKENS = 512

_FREE = Price(Rates(0, 0, 0, 0, 0), source="embedded")  # it computes on this machine: known, and nothing


def local_provider(chat: EmbeddedChat) -> Provider:
    """The row of the embedded chat model. The first call starts its server."""

    async def ready() -> None:
        try:
            await chat.ready()
        except Unavailable as error:
            raise UpstreamError(UpstreamKind.OVERLOADED, error.message) from error

    model = ModelSpec(
        MODEL.chat_model,
        max_tokens=_MAX_OUTPUT_TOKENS,
        context_window=MODEL.context_window,
        images=False,
        tools=False,  # the runtime ignores them without an error
        provider=MODEL.provider,
    )
    return Provider(
        id=MODEL.provider,
        base_url=chat.base_url,
        api_key=chat.api_key,
        headers=fixed_headers(chat.api_key, {}),
        models={model.id: model},
        only_listed=True,
        prices={MODEL.chat_model: _FREE, MODEL.embedding_model: _FREE},
        embedding_model=MODEL.embedding_model,
        local=True,
        secrets=secrets_in((chat.api_key,), {}, chat.base_url),
        prepare=ready,
    )


class LocalEmbedder:
    """The embedded embedding model."""

    def __init__(self, vectors: EmbeddedEmbeddings) -> None:
        self._vectors = vectors

    async def embed(
        self,
        _provider: Provider,
        model: ModelSpec,
        request: EmbeddingRequest,
        _end: float,
        *,
        fresh: bool = False,  # noqa: ARG002 - it uses no connection
    ) -> EmbeddingReply:
        """See `gateway.upstream.embed.Embedder`. Raises UpstreamError for any other model."""
        if model.id != MODEL.embedding_model:
            raise UpstreamError(
                UpstreamKind.NOT_FOUND,
                f"The embedded provider has one embedding model: {MODEL.provider}/{MODEL.embedding_model}.",
                code="model_not_found",
            )
        result = await self._vectors.embed(texts_of(request), request.dimensions)
        return EmbeddingReply([dumps(vector) for vector in result.vectors], result.tokens, result.tokens)
