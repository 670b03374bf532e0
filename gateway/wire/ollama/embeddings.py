"""Embeddings of Ollama: https://docs.ollama.com/api/embed."""

from typing import Any

import msgspec

from gateway.core.jsonio import InvalidJSON, StructDecoder, dumps
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest, WireRequest
from gateway.wire.failures import malformed
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.errors import error_in

_ARRAY = ord("[")
_PATH = "/api/embed"
_MAX_INPUTS = 512  # the server embeds them one after the other


class _Answer(msgspec.Struct):
    embeddings: list[msgspec.Raw] | None = None
    prompt_eval_count: int | None = None
    error: Any = None


_ANSWER = StructDecoder(_Answer)


class OllamaEmbeddings:
    """See `gateway.wire.contract.EmbeddingsFormat`."""

    def paths(self) -> tuple[str, ...]:
        """See EmbeddingsFormat."""
        return (_PATH,)

    def max_inputs(self, model: ModelSpec) -> int:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return _MAX_INPUTS

    def takes_tokens(self, model: ModelSpec) -> bool:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return False

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """The provider's request. A text that is too long has to be an error, not cut silently (`truncate`)."""
        body: dict[str, Any] = {"model": model.id, "input": request.inputs, "truncate": False}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        return WireRequest(_PATH, dumps(body))

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """See EmbeddingsFormat."""
        try:
            answer = _ANSWER.read(body)
        except InvalidJSON as error:
            raise malformed(str(error), "embeddings") from None
        if answer.error:
            raise error_in({"error": answer.error})
        vectors = [memoryview(vector) for vector in answer.embeddings or ()]
        if len(vectors) != expected or any(vector[0] != _ARRAY or len(vector) <= len("[]") for vector in vectors):
            raise malformed(f"it does not hold {expected} vectors", "embeddings")
        tokens = max(answer.prompt_eval_count or 0, 0)
        return EmbeddingReply(vectors, tokens, tokens)
