import json

import pytest

from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.bedrock_converse.embeddings import BedrockEmbeddings
from gateway.wire.contract import EmbeddingRequest
from gateway.wire.model import ModelSpec

FORMAT = BedrockEmbeddings()
TITAN, COHERE = ModelSpec("amazon.titan-embed-text-v2:0"), ModelSpec("eu.cohere.embed-v4:0")


def test_a_titan_model_takes_one_text():
    asked = FORMAT.request(EmbeddingRequest("openclaw", ("a",), 256), TITAN)
    assert FORMAT.max_inputs(TITAN) == 1
    assert asked.path == "/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert json.loads(asked.body) == {"inputText": "a", "dimensions": 256}
    reply = FORMAT.parse(b'{"embedding":[0.10,1],"inputTextTokenCount":3}', 1)
    assert (bytes(reply.vectors[0]), reply.prompt_tokens, reply.total_tokens) == (b"[0.10,1]", 3, 3)


def test_a_cohere_model_takes_several_texts():
    asked = FORMAT.request(EmbeddingRequest("openclaw", ("a", "b"), 256), COHERE)
    assert FORMAT.max_inputs(COHERE) == 96
    assert json.loads(asked.body) == {
        "texts": ["a", "b"],
        "input_type": "search_document",
        "truncate": "NONE",
        "output_dimension": 256,
    }
    for body in (b'{"embeddings":[[1],[2]]}', b'{"embeddings":{"float":[[1],[2]],"int8":[[3]]}}'):
        assert [bytes(vector) for vector in FORMAT.parse(body, 2).vectors] == [b"[1]", b"[2]"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"embedding":[]}', b'{"embedding":"a"}', b'{"embeddings":[[1],[2]]}', b'{"embeddings":{}}'],
)
def test_an_answer_without_its_vectors_is_malformed(body):
    with pytest.raises(UpstreamError) as caught:
        FORMAT.parse(body, 1)
    assert caught.value.kind is UpstreamKind.MALFORMED
