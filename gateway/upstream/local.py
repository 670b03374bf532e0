"""The embedded model as a provider: a row for its chat server, and an embedder."""

from gateway.core.errors import Unavailable
from gateway.core.jsonio import dumps
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.embedded import MODEL
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.provider import Provider, headers_for
from gateway.wire.compat import Compat, ModelSpec
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest

# Such a small model sometimes repeats itself until its context is full, for more than a minute on one thread.
_MAX_TOKENS = 512

# The runtime silently ignores tools, so the provider must not accept them.
_COMPAT = Compat(tools=False, tool_choice=False)


def local_provider(chat: EmbeddedChat) -> Provider:
    """The row of the embedded chat model. The first call starts its server, unless it has been started."""

    async def ready() -> None:
        try:
            await chat.ready()
        except Unavailable as error:
            raise UpstreamError(UpstreamKind.OVERLOADED, error.message) from error

    model = ModelSpec(
        MODEL.chat_model,
        max_tokens=_MAX_TOKENS,
        context_window=MODEL.context_window,
        images=False,
        compat=_COMPAT,
    )
    return Provider(
        id=MODEL.provider,
        base_url=chat.base_url,
        api_key=chat.api_key,
        headers=headers_for(chat.api_key, {}),
        compat=_COMPAT,
        models={model.id: model},
        embedding_model=MODEL.embedding_model,
        prepare=ready,
    )


class LocalEmbedder:
    """The embedded embedding model."""

    def __init__(self, vectors: EmbeddedEmbeddings) -> None:
        self._vectors = vectors

    async def embed(self, _provider: Provider, model: str, request: EmbeddingRequest, _end: float) -> EmbeddingReply:
        """See `gateway.upstream.embed.Embedder`. There is only one model."""
        if model != MODEL.embedding_model:
            raise UpstreamError(
                UpstreamKind.NOT_FOUND,
                f"The embedded provider has one embedding model: {MODEL.provider}/{MODEL.embedding_model}.",
                code="model_not_found",
            )
        result = await self._vectors.embed(request.inputs, request.dimensions)
        return EmbeddingReply([dumps(vector) for vector in result.vectors], result.tokens, result.tokens)
