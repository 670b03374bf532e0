"""Embeddings of Google: https://ai.google.dev/api/embeddings."""

from typing import Any

import msgspec

from gateway.core.jsonio import InvalidJSON, StructDecoder, dumps
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest, WireRequest
from gateway.wire.failures import malformed
from gateway.wire.google_generative.errors import error_in
from gateway.wire.google_generative.paths import model_path, publisher_path
from gateway.wire.google_generative.usage import read_usage
from gateway.wire.model import ModelSpec

_ARRAY = ord("[")
_MAX_INPUTS = 100
_MAX_INSTANCES = 250  # at Vertex AI; its Gemini models take one


class _Vector(msgspec.Struct):
    values: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector] | None = None
    usage_metadata: dict[str, Any] | None = None
    error: Any = None


_ANSWER = StructDecoder(_Answer)


class GoogleEmbeddings:
    """See `gateway.wire.contract.EmbeddingsFormat`."""

    def paths(self) -> tuple[str, ...]:
        """The path names the model."""
        return ()

    def max_inputs(self, model: ModelSpec) -> int:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return _MAX_INPUTS

    def takes_tokens(self, model: ModelSpec) -> bool:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return False

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """One request for all texts."""
        path = model_path(model.id)
        one: dict[str, Any] = {"model": path.removeprefix("/")}
        if request.dimensions is not None:
            one["outputDimensionality"] = request.dimensions
        requests = [{**one, "content": {"parts": [{"text": text}]}} for text in request.inputs]
        return WireRequest(f"{path}:batchEmbedContents", dumps({"requests": requests}))

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """See EmbeddingsFormat. AI Studio reports no tokens for most models, which are 0 then."""
        try:
            answer = _ANSWER.read(body)
        except InvalidJSON as error:
            raise malformed(str(error), "embeddings") from None
        if answer.error:
            raise error_in(answer.error)
        vectors = _checked([memoryview(one.values) for one in answer.embeddings or ()], expected)
        usage = read_usage(answer.usage_metadata or {})
        return EmbeddingReply(vectors, usage.prompt, usage.prompt)


class _Statistics(msgspec.Struct, frozen=True):
    token_count: float = 0


class _Embedding(msgspec.Struct, frozen=True):
    values: msgspec.Raw = msgspec.Raw(b"null")
    statistics: _Statistics = _Statistics()


class _Prediction(msgspec.Struct, frozen=True):
    embeddings: _Embedding = _Embedding()


class _Predictions(msgspec.Struct, frozen=True):
    predictions: list[_Prediction] | None = None
    error: Any = None


_PREDICTIONS = StructDecoder(_Predictions)


class VertexEmbeddings:
    """The same at Vertex AI (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api),
    which reports the tokens of every text.
    """

    def paths(self) -> tuple[str, ...]:
        """The path names the model."""
        return ()

    def max_inputs(self, model: ModelSpec) -> int:
        """See EmbeddingsFormat."""
        return 1 if "gemini" in model.id else _MAX_INSTANCES

    def takes_tokens(self, model: ModelSpec) -> bool:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return False

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """One request for all texts. A text that is too long has to be an error, not cut silently."""
        parameters: dict[str, Any] = {"autoTruncate": False}
        if request.dimensions is not None:
            parameters["outputDimensionality"] = request.dimensions
        body = {"instances": [{"content": text} for text in request.inputs], "parameters": parameters}
        return WireRequest(f"{publisher_path(model.id)}:predict", dumps(body))

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """See EmbeddingsFormat."""
        try:
            answer = _PREDICTIONS.read(body)
        except InvalidJSON as error:
            raise malformed(str(error), "embeddings") from None
        if answer.error:
            raise error_in(answer.error)
        embeddings = [one.embeddings for one in answer.predictions or ()]
        tokens = int(sum(one.statistics.token_count for one in embeddings))
        return EmbeddingReply(_checked([memoryview(one.values) for one in embeddings], expected), tokens, tokens)


def _checked(vectors: list[memoryview], expected: int) -> list[memoryview]:
    if len(vectors) != expected or any(vector[0] != _ARRAY or len(vector) <= len("[]") for vector in vectors):
        raise malformed(f"it does not hold {expected} vectors", "embeddings")
    return vectors
