import json

import pytest
from google.genai import types

from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.contract import EmbeddingRequest
from gateway.wire.google_generative.embeddings import GoogleEmbeddings
from gateway.wire.model import ModelSpec

FORMAT = GoogleEmbeddings()


def test_all_texts_are_one_request():
    asked = FORMAT.request(EmbeddingRequest("openclaw", ("a", "é"), 64), ModelSpec("gemini-embedding-001"))
    one = {"model": "models/gemini-embedding-001", "outputDimensionality": 64}
    assert asked.path == "/models/gemini-embedding-001:batchEmbedContents"
    assert json.loads(asked.body) == {
        "requests": [{**one, "content": {"parts": [{"text": text}]}} for text in ("a", "é")]
    }


def test_vectors_keep_their_digits():
    body = b'{"embeddings":[{"values":[0.10,-1e-3]},{"values":[1,2]}],"usageMetadata":{"promptTokenCount":8}}'
    types.EmbedContentResponse.model_validate({"embeddings": json.loads(body)["embeddings"]})
    reply = FORMAT.parse(body, 2)
    assert [bytes(vector) for vector in reply.vectors] == [b"[0.10,-1e-3]", b"[1,2]"]
    assert (reply.prompt_tokens, reply.total_tokens) == (8, 8)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"embeddings":[{}]}', b'{"embeddings":[{"values":[]}]}', b"x"])
def test_other_vectors_than_expected_are_an_error(body):
    with pytest.raises(UpstreamError) as raised:
        FORMAT.parse(body, 1)
    assert raised.value.kind is Kind.MALFORMED


def test_an_error_inside_a_200_is_an_error():
    with pytest.raises(UpstreamError, match="slow down") as raised:
        FORMAT.parse(b'{"error":{"code":429,"message":"slow down"}}', 1)
    assert raised.value.kind is Kind.RATE_LIMITED
