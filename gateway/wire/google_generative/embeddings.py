"""Embeddings of Google: https://ai.google.dev/api/embeddings."""

from typing import Any

import msgspec

from gateway.core.jsonio import InvalidJSON, StructDecoder, dumps
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest, WireRequest
from gateway.wire.google_generative.errors import error_in
from gateway.wire.google_generative.paths import model_path
from gateway.wire.google_generative.usage import read_usage
from gateway.wire.model import ModelSpec

_ARRAY = ord("[")


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
            raise _malformed(str(error)) from None
        if answer.error:
            raise error_in(answer.error)
        vectors = [memoryview(one.values) for one in answer.embeddings or ()]
        if len(vectors) != expected or any(vector[0] != _ARRAY or len(vector) <= len("[]") for vector in vectors):
            raise _malformed(f"it does not hold {expected} vectors")
        usage = read_usage(answer.usage_metadata or {})
        return EmbeddingReply(vectors, usage.prompt, usage.prompt)


def _malformed(what: str) -> UpstreamError:
    return UpstreamError(UpstreamKind.MALFORMED, f"The provider's embeddings could not be read: {what}.")
