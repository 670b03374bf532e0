import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from gateway.core.errors import BadRequest
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.contract import EmbeddingRequest
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.embeddings import EmbeddingLimits, build_request, parse_reply, read_request, render_reply
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.openai_chat.schema import EMBEDDINGS

LIMITS = EmbeddingLimits(128, 8192, 65536)
EMOJI = "\N{GRINNING FACE}"


def asked(**fields):
    return read_request(EMBEDDINGS.read(json.dumps({"model": "openclaw", **fields}).encode())[0], LIMITS)


def refused(**fields):
    with pytest.raises(BadRequest) as caught:
        asked(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        ({"input": "a"}, EmbeddingRequest("openclaw", ("a",))),
        ({"input": ["a", "b"]}, EmbeddingRequest("openclaw", ("a", "b"))),
        ({"input": ["a", ""]}, EmbeddingRequest("openclaw", ("a", ""))),
        ({"input": " "}, EmbeddingRequest("openclaw", (" ",))),
        ({"input": [1, 2]}, EmbeddingRequest("openclaw", ((1, 2),))),
        ({"input": [[1, 2], [3]]}, EmbeddingRequest("openclaw", ((1, 2), (3,)))),
        ({"input": "a", "encoding_format": "float"}, EmbeddingRequest("openclaw", ("a",))),
        ({"input": "a", "encoding_format": None}, EmbeddingRequest("openclaw", ("a",))),
        ({"input": "a", "encoding_format": "base64"}, EmbeddingRequest("openclaw", ("a",), base64=True)),
        ({"input": "a", "dimensions": 64}, EmbeddingRequest("openclaw", ("a",), 64)),
        ({"input": "a", "dimensions": 64.0, "user": "ann", "zz": 1}, EmbeddingRequest("openclaw", ("a",), 64)),
    ],
)
def test_an_embeddings_request_is_decoded(fields, request_):
    assert asked(**fields) == request_


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": None}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": 7}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": {"a": 1}}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": [1, True]}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": [[1, -2]]}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": [[]]}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": ["a", 1]}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": [["a"]]}, "input", "`input` must be a string or an array of strings, or token ids in arrays."),
        ({"input": ""}, "input", "`input` must contain at least one non-empty string."),
        ({"input": []}, "input", "`input` must contain at least one non-empty string."),
        ({"input": ["", ""]}, "input", "`input` must contain at least one non-empty string."),
        (
            {"input": ["a"] * 129},
            "input",
            "Too many inputs (max 128; see gateway.http.endpoints.embeddings.maxInputs).",
        ),
        (
            {"input": "a" * 8193},
            "input[0]",
            "Input too long (max 8192 chars; see gateway.http.endpoints.embeddings.maxInputChars).",
        ),
        (
            {"input": ["a", EMOJI * 4097]},
            "input[1]",
            "Input too long (max 8192 chars; see gateway.http.endpoints.embeddings.maxInputChars).",
        ),
        (
            {"input": ["a" * 8192] * 8 + ["b"]},
            "input",
            "Total input too large (max 65536 chars; see gateway.http.endpoints.embeddings.maxTotalChars).",
        ),
        ({"input": "a", "dimensions": 0}, "dimensions", "`dimensions`: must be a whole number above 0."),
        ({"input": "a", "dimensions": -1}, "dimensions", "`dimensions`: must be a whole number above 0."),
        ({"input": "a", "dimensions": 1.5}, "dimensions", "`dimensions`: must be a whole number above 0."),
        ({"input": "a", "dimensions": "64"}, "dimensions", "`dimensions`: must be a number."),
        ({"input": "a", "dimensions": True}, "dimensions", "`dimensions`: must be a number."),
        (
            {"input": "a", "encoding_format": "int8"},
            "encoding_format",
            '`encoding_format`: must be "float" or "base64".',
        ),
        ({"input": "a", "model": 7}, "model", "`model`: must be a string."),
    ],
)
def test_every_refusal_names_the_field(fields, param, message):
    error = refused(**fields)
    assert (error.param, error.message) == (param, message)


@pytest.mark.parametrize(
    "texts", [["a"] * 128, "a" * 8192, EMOJI * 4096, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 8192, ["a" * 8192] * 8]
)
def test_inputs_at_the_limits_are_accepted(texts):
    assert asked(input=texts).inputs


@pytest.mark.parametrize(
    ("request_", "packs", "body"),
    [
        (EmbeddingRequest("openclaw", ("a",)), True, {"model": "m", "input": ["a"]}),
        (EmbeddingRequest("openclaw", ("a",), 64), True, {"model": "m", "input": ["a"], "dimensions": 64}),
        (
            EmbeddingRequest("openclaw", ("a",), base64=True),
            True,
            {"model": "m", "input": ["a"], "encoding_format": "base64"},
        ),
        (EmbeddingRequest("openclaw", ("a",), base64=True), False, {"model": "m", "input": ["a"]}),
    ],
)
def test_base64_is_requested_only_from_providers_that_support_it(request_, packs, body):
    model = ModelSpec("m", profile=Profile(embedding_base64=packs))
    assert json.loads(build_request(request_, model)) == body


def body(*vectors, **fields):
    return json.dumps({"data": list(vectors), **fields}).encode()


def vector(*numbers, **fields):
    return {"object": "embedding", "embedding": list(numbers), **fields}


def rendered(raw, expected=1, *, as_base64=False):
    payload = json.loads(render_reply(parse_reply(raw, expected), model="openclaw", as_base64=as_base64))
    if not as_base64:  # the official type accepts only lists; its client unpacks base64 itself
        CreateEmbeddingResponse.model_validate(payload)
    assert [item["index"] for item in payload["data"]] == list(range(expected))
    return [item["embedding"] for item in payload["data"]]


def test_vectors_are_returned_in_the_order_of_the_inputs():
    assert rendered(body(vector(2, index=1), vector(1, index=0)), 2) == [[1], [2]]
    assert rendered(body(vector(1), vector(2)), 2) == [[1], [2]]


def test_usage_is_the_providers_count():
    raw = body(vector(1), usage={"prompt_tokens": 5, "total_tokens": 6})
    payload = json.loads(render_reply(parse_reply(raw, 1), model=" OpenClaw ", as_base64=False))
    assert payload["usage"] == {"prompt_tokens": 5, "total_tokens": 6}
    assert (payload["object"], payload["model"]) == ("list", " OpenClaw ")
    assert parse_reply(body(vector(1)), 1).total_tokens == 0


def test_numbers_keep_the_providers_digits():
    raw = b'{"data":[{"embedding":[0.10, -1e-07, 3, 0.30000000000000004]}]}'
    assert b"[0.10, -1e-07, 3, 0.30000000000000004]" in render_reply(parse_reply(raw, 1), model="m", as_base64=False)


FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOAT32, min_size=1, max_size=5))
def test_base64_is_little_endian_float32_of_the_same_numbers(numbers):
    (packed,) = rendered(body(vector(*numbers)), as_base64=True)
    assert base64.b64decode(packed) == struct.pack(f"<{len(numbers)}f", *numbers)


@given(st.lists(FLOAT32, min_size=1, max_size=5))
def test_unrequested_base64_is_unpacked_exactly(numbers):
    packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    assert rendered(body({"embedding": packed})) == [numbers]
    assert rendered(body({"embedding": packed}), as_base64=True) == [packed]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_doubles_are_rounded_once(numbers):
    (packed,) = rendered(body(vector(*numbers)), as_base64=True)
    rounded = struct.unpack(f"<{len(numbers)}f", base64.b64decode(packed))
    assert list(rounded) == [struct.unpack("f", struct.pack("f", number))[0] for number in numbers]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"nonsense", b"[]", b"null", b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":[]}'),
        body(vector(1), vector(2)),
        body(7),
        body({}),
        body(vector(1, index=1)),
        body(vector(1, index=-1)),
        body(vector(1, index="0")),
        body({"embedding": None}),
        body({"embedding": 7}),
        body({"embedding": {}}),
        body({"embedding": []}),
        body({"embedding": ""}),
    ],
)
def test_an_invalid_vector_is_malformed(raw):
    for as_base64 in (False, True):
        with pytest.raises(UpstreamError) as caught:
            rendered(raw, as_base64=as_base64)
        assert caught.value.kind is UpstreamKind.MALFORMED


@pytest.mark.parametrize("embedding", [["a"], [None], [[1]], [{}], "%%%", "é"])
def test_a_vector_of_no_numbers_fails_while_another_attempt_is_possible(embedding):
    with pytest.raises(UpstreamError) as caught:
        parse_reply(body({"embedding": embedding}), 1)
    assert caught.value.kind is UpstreamKind.MALFORMED


def test_a_repeated_index_is_malformed():
    with pytest.raises(UpstreamError):
        parse_reply(body(vector(1, index=0), vector(2, index=0)), 2)


@pytest.mark.parametrize("numbers", [["a"], [None], [[1]], [1e39]])
def test_numbers_that_cannot_be_packed_are_malformed(numbers):
    with pytest.raises(UpstreamError):
        rendered(body({"embedding": numbers}), as_base64=True)


@pytest.mark.parametrize("text", ["%%%", "AAA", "AAAA", "é"])
def test_base64_that_cannot_be_unpacked_is_malformed(text):
    with pytest.raises(UpstreamError):
        rendered(body({"embedding": text}))


@pytest.mark.parametrize(
    "body",
    [b'{"error":{"message":"busy","code":503}}', b'{"object":"error","message":"busy","code":503}'],
)
def test_an_error_inside_a_200_is_an_error(body):
    with pytest.raises(UpstreamError) as caught:
        parse_reply(body, 1)
    assert (caught.value.kind, caught.value.message) == (UpstreamKind.OVERLOADED, "busy")
