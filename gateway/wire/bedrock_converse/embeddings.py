"""Embeddings of Bedrock: the models of Amazon (Titan) and of Cohere, each with a body of its own.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and …-embed.html
"""

from typing import Any
from urllib.parse import quote

import msgspec

from gateway.core.jsonio import InvalidJSON, StructDecoder, dumps
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest, WireRequest
from gateway.wire.failures import malformed
from gateway.wire.model import ModelSpec

_ARRAY = ord("[")
_MAX_COHERE = 96


class _ByType(msgspec.Struct):
    float: list[msgspec.Raw] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embedding: msgspec.Raw = msgspec.Raw(b"null")  # Titan
    input_text_token_count: int = 0
    embeddings: msgspec.Raw = msgspec.Raw(b"null")  # Cohere: a list, or lists by type


_ANSWER = StructDecoder(_Answer)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_BY_TYPE = msgspec.json.Decoder(_ByType)


class BedrockEmbeddings:
    """See `gateway.wire.contract.EmbeddingsFormat`."""

    def paths(self) -> tuple[str, ...]:
        """The path names the model."""
        return ()

    def max_inputs(self, model: ModelSpec) -> int:
        """See EmbeddingsFormat: Amazon's models take one text."""
        return _MAX_COHERE if _is_cohere(model) else 1

    def takes_tokens(self, model: ModelSpec) -> bool:  # noqa: ARG002
        """See EmbeddingsFormat."""
        return False

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """The provider's request. A text that is too long has to be an error, not cut silently."""
        body: dict[str, Any]
        if _is_cohere(model):
            body = {"texts": request.inputs, "input_type": "search_document", "truncate": "NONE"}
            if request.dimensions is not None:
                body["output_dimension"] = request.dimensions
        else:
            body = {"inputText": request.inputs[0]}
            if request.dimensions is not None:
                body["dimensions"] = request.dimensions
        return WireRequest(f"/model/{quote(model.id, safe='')}/invoke", dumps(body))

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """See EmbeddingsFormat. Cohere's models report no tokens, which are 0 then."""
        try:
            answer = _ANSWER.read(body)
            vectors = [answer.embedding] if bytes(answer.embedding) != b"null" else _cohere(answer.embeddings)
        except (InvalidJSON, ValueError) as error:
            raise malformed(str(error), "embeddings") from None
        views = [memoryview(vector) for vector in vectors]
        if len(views) != expected or any(view[0] != _ARRAY or len(view) <= len("[]") for view in views):
            raise malformed(f"it does not hold {expected} vectors", "embeddings")
        tokens = max(answer.input_text_token_count, 0)
        return EmbeddingReply(views, tokens, tokens)


def _is_cohere(model: ModelSpec) -> bool:
    return "cohere." in model.id


def _cohere(raw: msgspec.Raw) -> list[msgspec.Raw]:
    if bytes(raw) == b"null":
        return []
    if memoryview(raw)[0] == _ARRAY:
        return _LIST.decode(raw)
    return _BY_TYPE.decode(raw).float or []
