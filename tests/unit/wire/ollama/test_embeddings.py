import json

import pytest
from ollama import EmbedResponse
from ollama._types import EmbedRequest

from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire.contract import EmbeddingRequest
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.embeddings import OllamaEmbeddings

FORMAT = OllamaEmbeddings()


def test_texts_that_are_too_long_are_an_error_not_cut():
    asked = FORMAT.request(EmbeddingRequest("openclaw", ("a", "é"), 64), ModelSpec("nomic-embed-text"))
    sent = json.loads(asked.body)
    EmbedRequest.model_validate(sent)
    assert (asked.path, asked.path in FORMAT.paths()) == ("/api/embed", True)
    assert sent == {"model": "nomic-embed-text", "input": ["a", "é"], "truncate": False, "dimensions": 64}


def test_vectors_keep_their_digits():
    body = b'{"model":"m","embeddings":[[0.10,-1e-3],[1,2]],"total_duration":1,"prompt_eval_count":8}'
    EmbedResponse.model_validate_json(body)
    reply = FORMAT.parse(body, 2)
    assert [bytes(vector) for vector in reply.vectors] == [b"[0.10,-1e-3]", b"[1,2]"]
    assert (reply.prompt_tokens, reply.total_tokens) == (8, 8)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"embeddings":[[1],[2]]}', b'{"embeddings":[[]]}', b'{"embeddings":["x"]}', b"x"]
)
def test_other_vectors_than_expected_are_an_error(body):
    with pytest.raises(UpstreamError) as raised:
        FORMAT.parse(body, 1)
    assert raised.value.kind is Kind.MALFORMED


def test_an_error_inside_a_200_is_an_error():
    with pytest.raises(UpstreamError, match="not found") as raised:
        FORMAT.parse(b'{"error":"model \'m\' not found"}', 1)
    assert raised.value.kind is Kind.NOT_FOUND
